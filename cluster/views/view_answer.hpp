#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/http/http_message.hpp"
#include "cluster/views/reduction.hpp"
#include "cluster/views/view_index.hpp"
#include "cluster/views/view_query.hpp"

namespace chaise::testing {

/// What one node has of a view.
struct ViewPart {
    std::shared_ptr<const ViewRows> rows;
    std::string node;  ///< host and port, for `debug`
};

/// All that an answer is made of, as it was when it was asked for.
struct ViewAnswerParts {
    ViewQuery query;
    DesignDocuments::Pointer document;
    const ViewDefinition* view = nullptr;  ///< in that document
    std::vector<ViewPart> parts;
    std::string debug_info;                       ///< JSON, or empty
    std::vector<std::string> errors;              ///< JSON, of nodes that do not answer
    std::optional<std::uint16_t> only_vbucket{};  ///< of development views that look at a part
    std::uint64_t salt = 0;                       ///< of a reduction's script
};

/// The body of an answer to a view query, made row by row while the client takes it.
class ViewAnswer final : public HttpStream {
public:
    ViewAnswer(ViewAnswerParts parts, HttpSink& sink);

    bool on_room() override;

private:
    enum class Stage { head, rows, tail, over };
    struct Cursor {  // rows left in the present range: [next, end), walked backwards when descending
        std::size_t next = 0;
        std::size_t end = 0;
    };

    void write_head();
    void write_some_rows();
    void write_tail();
    void enter_range();
    /// The first row that is left, of all parts; its part is `part`. Null: the range is through.
    const ViewRow* take(std::size_t& part);
    void map_row();
    void reduced_row();
    void close_group();
    void row(std::string_view text);
    void fail(std::string error);

    ViewAnswerParts parts_;
    HttpSink& sink_;
    Stage stage_ = Stage::head;
    std::string out_;
    std::size_t range_ = 0;
    std::vector<Cursor> cursors_;
    std::uint64_t skipped_ = 0;
    std::uint64_t written_ = 0;
    std::optional<Reduction> reduction_;
    // The group that is open.
    bool in_group_ = false;
    std::string group_order_;
    std::string group_key_;
};

}  // namespace chaise::testing
