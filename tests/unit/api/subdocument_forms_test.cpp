// compiler-traps.md: the co_await forms of sub-document operations and data structures that README and headers show,
// and what users write near them, on GCC 12 under ASan.

#include "tests/support/run.hpp"
#include "tests/unit/api/consumers.hpp"
#include "tests/unit/engine/script_node.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <span>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;

namespace {

std::string text_of(int n) { return "a text that is too long for the small string " + std::to_string(n); }

struct UserText : Counted {
    explicit UserText(int n) : text(text_of(n)) {}
    operator std::string_view() const { return text; }  // NOLINT: implicit on purpose
    std::string text;
};
UserText user_text(int n) { return UserText(n); }

/// A node that answers each lookup with the paths themselves, as values, and remembers mutations' values.
struct SubdocForms {
    Fixture f{{.username = "me", .password = "secret"}, "couchbase://node"};
    ScriptNodes nodes{f.loop};
    std::vector<std::string> paths, values;

    SubdocForms() {
        Counted::alive = 0;
        nodes.map = ScriptNodes::map_of({"node"}, 1);
        nodes.answer = [this](const ScriptNodes::Seen& seen) { return answer(seen); };
        f.connected();
    }
    ScriptNodes::Answer answer(const ScriptNodes::Seen& seen) {
        paths.clear();
        values.clear();
        if (seen.opcode != Opcode::subdoc_multi_lookup && seen.opcode != Opcode::subdoc_multi_mutation) {
            return {.cas = 5, .value = "17"};
        }
        const bool lookup = seen.opcode == Opcode::subdoc_multi_lookup;
        std::string_view left = seen.value;
        std::string found;
        while (!left.empty()) {
            const std::size_t path = protocol::load_be16(left.data() + 2);
            const std::size_t value = lookup ? 0 : protocol::load_be32(left.data() + 4);
            left.remove_prefix(lookup ? 4 : 8);
            paths.emplace_back(left.substr(0, path));
            values.emplace_back(left.substr(path, value));
            left.remove_prefix(path + value);
            found += std::string(4, '\0') + std::string{static_cast<char>(path >> 8), static_cast<char>(path)} +
                     paths.back();
        }
        return {.cas = 9, .value = lookup ? found : std::string()};
    }
    void run(Task<> task) {
        spawn(f.loop, std::move(task));
        f.loop.run();
        CHECK(f.loop.work == 0);
        CHECK(Counted::alive == 0);
        CHECK(f.bucket->operations() == 0);
        CHECK(f.unobserved.empty());
    }
};

}  // namespace

TEST_CASE("forms: specs in braces, alone, in ranges", "[forms]") {
    SubdocForms forms;
    forms.run([](AsyncBucket& bucket, SubdocForms& seen) -> Task<> {
        // subdocument.hpp, README
        auto found = co_await bucket.lookup_in("user::42", {sd::get("address.city"), sd::exists("admin")});
        CHECK(found.value(0) == "address.city");
        CHECK(found.exists("admin"));
        co_await bucket.mutate_in("user::42", {sd::upsert("name", R"("Ada")"), sd::counter("visits", 1)});
        CHECK(seen.values == std::vector<std::string>{R"("Ada")", "1"});

        auto one = co_await bucket.lookup_in("k", sd::get("a"));
        CHECK(one.size() == 1);
        auto braced = co_await bucket.lookup_in("k", {sd::get("a")});
        CHECK(braced.value("a") == "a");
        co_await bucket.mutate_in("k", sd::remove("a"));
        const LookupSpec local[] = {sd::get("x"), sd::get("y")};
        auto of_array = co_await bucket.lookup_in("k", local);
        CHECK(of_array.value(1) == "y");
        const std::array<LookupSpec, 2> array = {sd::get("p"), sd::get("q")};
        auto of_std_array = co_await bucket.lookup_in("k", array);
        CHECK(of_std_array.value(1) == "q");
        std::vector<LookupSpec> vector;
        for (const char* path : {"a", "b", "c"}) vector.push_back(sd::get(path));
        auto of_vector = co_await bucket.lookup_in("k", vector);
        CHECK(of_vector.value(2) == "c");
        auto of_span = co_await bucket.lookup_in("k", std::span(vector).first(2));
        CHECK(of_span.size() == 2);
        std::vector<MutateSpec> changes(3, sd::array_append("list", "1"));
        co_await bucket.mutate_in("k", changes);
        CHECK(seen.values.size() == 3);
        auto retrieved = co_await bucket.retrieve_in("k", {"a", "b"});
        CHECK(retrieved.value("b") == "b");
        auto refused = co_await bucket.lookup_in("k", {}).as_expected();
        CHECK(refused.error().code() == errc::invalid_argument);
        auto sixteen = co_await bucket.lookup_in(
            "k", {sd::get("0"), sd::get("1"), sd::get("2"), sd::get("3"), sd::get("4"), sd::get("5"), sd::get("6"),
                  sd::get("7"), sd::get("8"), sd::get("9"), sd::get("a"), sd::get("b"), sd::get("c"), sd::get("d"),
                  sd::get("e"), sd::get("f")});
        CHECK(sixteen.value(15) == "f");
    }(*forms.f.bucket, forms));
}

TEST_CASE("forms: temporaries that own memory, as keys, paths and values; options", "[forms]") {
    SubdocForms forms;
    forms.run([](AsyncBucket& bucket, SubdocForms& seen) -> Task<> {
        auto found = co_await bucket.lookup_in(user_text(1), {sd::get(user_text(2)), sd::exists(text_of(3) + "!"),
                                                              sd::count(std::string(100, 'p'), {.xattr = true})});
        CHECK(found.value(0) == text_of(2));
        CHECK(found.value(1) == text_of(3) + "!");
        CHECK(found.value(2) == std::string(100, 'p'));
        co_await bucket.mutate_in(text_of(1),
                                  {sd::upsert(sd::quoted(text_of(2)) + ".x", text_of(3), {.create_parents = true}),
                                   sd::upsert(user_text(4), sd::mutation_cas, {.xattr = true, .expand_macros = true}),
                                   sd::counter(text_of(5), -7), sd::array_append(text_of(6), user_text(7))},
                                  {.expiry = 10min, .store = StoreSemantics::upsert, .timeout = 1s});
        CHECK(seen.paths == std::vector<std::string>{text_of(4), "`" + text_of(2) + "`.x", text_of(5), text_of(6)});
        CHECK(seen.values == std::vector<std::string>{std::string(sd::mutation_cas), text_of(3), "-7", text_of(7)});
        const MutateInOptions options{.cas = 5, .preserve_expiry = true};
        co_await bucket.mutate_in(user_text(1), sd::replace(text_of(1), text_of(2)), options);
        auto quiet = co_await bucket.lookup_in(user_text(1), sd::get(text_of(2)), {.timeout = 1s, .quiet = true});
        CHECK(quiet.all_ok());
        const std::string city = std::string((co_await bucket.lookup_in("k", {sd::get(text_of(9))})).value(0));
        CHECK(city == text_of(9));
        if ((co_await bucket.lookup_in("k", {sd::exists(text_of(1))})).exists(0)) {
            co_await bucket.mutate_in("k", {sd::remove(text_of(8))});
        }
        CHECK(seen.paths == std::vector<std::string>{text_of(8)});
        auto nested = co_await bucket.lookup_in(
            "k", {sd::get((co_await bucket.retrieve_in("k", {text_of(1), user_text(2)})).value(1))});
        CHECK(nested.value(0) == text_of(2));
    }(*forms.f.bucket, forms));
}

TEST_CASE("forms: results moved, copied, iterated; data structures", "[forms]") {
    SubdocForms forms;
    forms.run([](AsyncBucket& bucket) -> Task<> {
        std::vector<SubdocResult> kept;
        for (int i = 0; i < 3; ++i) kept.push_back(co_await bucket.retrieve_in("k", {text_of(i)}));
        const SubdocResult copy = kept[1];
        kept.clear();
        CHECK(copy.value(0) == text_of(1));
        auto expected = co_await bucket.lookup_in("k", {sd::get(text_of(1))}).as_expected();
        CHECK(expected->value(0) == text_of(1));
        auto first = bucket.retrieve_in("k", {"a"});
        auto second = bucket.retrieve_in("k", {"b"});
        CHECK_AWAIT((co_await first).value(0) == "a");
        CHECK_AWAIT((co_await second).value(0) == "b");

        co_await bucket.map_add("ages", "Ada", "36", {.create = true});
        co_await bucket.map_add(user_text(1), user_text(2), user_text(3), {.expiry = 1h, .timeout = 1s});
        CHECK_AWAIT((co_await bucket.map_get(user_text(1), text_of(2))).value() == "17");
        CHECK_AWAIT((co_await bucket.map_size("k")).size() == 17);
        co_await bucket.list_append(user_text(1), text_of(2), {.create = true});
        CHECK_AWAIT((co_await bucket.list_get("k", -1, {.timeout = 1s})).value() == "17");
        co_await bucket.list_set("k", 0, text_of(1), {.cas = 4});
        CHECK_AWAIT((co_await bucket.set_add("k", "1")).success());
        CHECK_AWAIT((co_await bucket.queue_pop(user_text(7), {.timeout = 1s})).value() == "17");
        auto popped = co_await bucket.queue_pop("k").as_expected();
        CHECK(popped->cas() == 5);
    }(*forms.f.bucket));
}
