#include "cluster/views/design_document.hpp"

#include <utility>

#include "cluster/json/json.hpp"
#include "cluster/views/script.hpp"
#include "protocol/json_text.hpp"

namespace chaise::testing {

namespace {

std::uint64_t fnv1a(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
}

DesignError invalid(std::string reason) { return {"invalid_design_document", std::move(reason)}; }

std::optional<DesignError> read_view(const Json::Member& member, Script& script, ViewDefinition& view) {
    const auto& [name, json] = member;
    view.name = name;
    const std::string of_view = " of the view `" + name + "`";
    if (name.empty()) return invalid("A view's name must not be empty.");
    if (!json.is(Json::Kind::object)) return invalid("The view `" + name + "` is not a JSON object.");
    if (!json["map"].is(Json::Kind::string)) return invalid("The map function" + of_view + " must be a string.");
    view.map = json["map"].string();
    std::string error;
    if (!script.compile(view.map, error)) return invalid("Syntax error in the map function" + of_view + ": " + error);
    const Json& reduce = json["reduce"];
    if (reduce.is(Json::Kind::missing) || reduce.is(Json::Kind::null)) return std::nullopt;
    if (!reduce.is(Json::Kind::string)) return invalid("The reduce function" + of_view + " must be a string.");
    const std::string_view text = reduce.string();
    if (text.empty()) return std::nullopt;
    if (text[0] != '_') {
        view.reducer = Reducer::script;
        view.reduce = text;
        if (script.compile(text, error)) return std::nullopt;
        return invalid("Syntax error in the reduce function" + of_view + ": " + error);
    }
    view.reducer = text == "_count"   ? Reducer::count
                   : text == "_sum"   ? Reducer::sum
                   : text == "_stats" ? Reducer::stats
                                      : Reducer::none;
    if (view.reducer != Reducer::none) return std::nullopt;
    return invalid("Invalid built-in reduce function" + of_view + ": " + std::string(text));
}

}  // namespace

const ViewDefinition* DesignDocument::view(std::string_view view_name) const noexcept {
    for (const ViewDefinition& each : views)
        if (each.name == view_name) return &each;
    return nullptr;
}

std::optional<DesignError> DesignDocuments::put(const std::string& bucket_uuid, std::string_view name,
                                                std::string_view json) {
    const std::optional<Json> parsed = parse_json(json);
    if (!parsed) return DesignError{"bad_request", "invalid UTF-8 JSON"};
    if (!parsed->is(Json::Kind::object)) return invalid("Content is not a JSON object.");
    auto document = std::make_shared<DesignDocument>();
    document->name = name;
    document->json = json;
    const Json& views = (*parsed)["views"];
    if (!views.is(Json::Kind::missing) && !views.is(Json::Kind::object)) {
        return invalid("The field `views` is not a JSON object.");
    }
    Script script(0);  // compiles, and runs nothing
    for (const Json::Member& member : views.members) {
        ViewDefinition view;
        if (auto error = read_view(member, script, view)) return error;
        if (document->view(view.name) != nullptr) return invalid("Two views are called `" + view.name + "`.");
        document->views.push_back(std::move(view));
    }
    Entry& entry = buckets_[bucket_uuid][std::string(name)];
    // The same again leaves its indexes as they are.
    if (entry.document && entry.document->json == json) return std::nullopt;
    document->revision = std::to_string(++entry.generation) + "-" + protocol::json_hex(fnv1a(json));
    entry.document = std::move(document);
    return std::nullopt;
}

bool DesignDocuments::remove(const std::string& bucket_uuid, std::string_view name) {
    if (!find(bucket_uuid, name)) return false;
    Entry& entry = buckets_[bucket_uuid][std::string(name)];
    entry.document = nullptr;
    ++entry.generation;
    return true;
}

const DesignDocuments::Entry* DesignDocuments::entry(const std::string& bucket_uuid, std::string_view name) const {
    const auto bucket = buckets_.find(bucket_uuid);
    if (bucket == buckets_.end()) return nullptr;
    const auto found = bucket->second.find(name);
    return found != bucket->second.end() ? &found->second : nullptr;
}

DesignDocuments::Pointer DesignDocuments::find(const std::string& bucket_uuid, std::string_view name) const {
    const Entry* found = entry(bucket_uuid, name);
    return found != nullptr ? found->document : nullptr;
}

bool DesignDocuments::was_removed(const std::string& bucket_uuid, std::string_view name) const {
    const Entry* found = entry(bucket_uuid, name);
    return found != nullptr && !found->document;
}

std::vector<DesignDocuments::Pointer> DesignDocuments::all(const std::string& bucket_uuid) const {
    std::vector<Pointer> documents;
    const auto bucket = buckets_.find(bucket_uuid);
    if (bucket == buckets_.end()) return documents;
    for (const auto& [name, entry] : bucket->second)
        if (entry.document) documents.push_back(entry.document);
    return documents;
}

}  // namespace chaise::testing
