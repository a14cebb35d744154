#include "memcached_script.hpp"

#include "protocol/byte_order.hpp"
#include "protocol/frame.hpp"

namespace chaise::testing {

using protocol::Opcode;
using protocol::Status;

namespace {

constexpr std::uint32_t sentinel = 0xfeedbeef;

std::string header(Opcode opcode, std::size_t key, std::size_t extras, std::size_t body, std::uint32_t opaque,
                   std::uint64_t cas) {
    std::string bytes(24, '\0');
    bytes[0] = static_cast<char>(0x80);
    bytes[1] = static_cast<char>(opcode);
    protocol::store_be16(bytes.data() + 2, static_cast<std::uint16_t>(key));
    bytes[4] = static_cast<char>(extras);
    protocol::store_be32(bytes.data() + 8, static_cast<std::uint32_t>(body));
    protocol::store_be32(bytes.data() + 12, opaque);
    protocol::store_be64(bytes.data() + 16, cas);
    return bytes;
}

std::string printable(std::string_view bytes) {
    std::string text;
    for (char c : bytes.substr(0, 60)) {
        const auto byte = static_cast<unsigned char>(c);
        constexpr char digits[] = "0123456789abcdef";
        if (byte >= 32 && byte < 127) {
            text += c;
        } else {
            text.append("\\x") += digits[byte >> 4];
            text += digits[byte & 15];
        }
    }
    return "'" + text + "'";
}

ScriptRequest set(std::string key, std::string value, std::uint32_t flags = 0, std::uint32_t expiry = 0) {
    return {
        .opcode = Opcode::set, .key = std::move(key), .extras = u32(flags) + u32(expiry), .value = std::move(value)};
}
ScriptRequest get(std::string key) { return {.opcode = Opcode::get, .key = std::move(key)}; }
ScriptAnswer hit(std::size_t of, std::string value, std::uint32_t flags = 0) {
    return {.of = of, .value = std::move(value), .extras = u32(flags), .cas = true};
}
ScriptAnswer stored(std::size_t of, std::string remember = {}) {
    return {.of = of, .cas = true, .remember = std::move(remember)};
}
ScriptAnswer empty(std::size_t of) { return {.of = of}; }
ScriptAnswer error(std::size_t of, Status status, std::string text) {
    return {.of = of, .status = status, .value = std::move(text)};
}
ScriptAnswer miss(std::size_t of) { return error(of, Status::key_enoent, "Not found"); }
ScriptAnswer exists(std::size_t of) { return error(of, Status::key_eexists, "Data exists for key."); }
ScriptAnswer not_stored(std::size_t of) { return error(of, Status::not_stored, "Not stored."); }
ScriptAnswer invalid(std::size_t of) { return error(of, Status::einval, "Invalid arguments"); }
ScriptAnswer unknown(std::size_t of) { return error(of, Status::unknown_command, "Unknown command"); }
ScriptAnswer bad_number(std::size_t of) {
    return error(of, Status::delta_badval, "Non-numeric server-side value for incr or decr");
}
ScriptRequest counter(Opcode opcode, std::string key, std::uint64_t delta, std::uint64_t initial,
                      std::uint32_t expiry = 0) {
    return {.opcode = opcode, .key = std::move(key), .extras = u64(delta) + u64(initial) + u32(expiry)};
}
ScriptRequest store(Opcode opcode, std::string key, std::string value, std::string cas_of = {},
                    std::uint64_t plus = 0) {
    return {.opcode = opcode,
            .key = std::move(key),
            .extras = opcode == Opcode::append || opcode == Opcode::prepend || opcode == Opcode::appendq ||
                              opcode == Opcode::prependq
                          ? std::string{}
                          : u32(0) + u32(0),
            .value = std::move(value),
            .cas_of = std::move(cas_of),
            .cas_plus = plus};
}

}  // namespace

std::string u32(std::uint32_t number) {
    std::string bytes(4, '\0');
    protocol::store_be32(bytes.data(), number);
    return bytes;
}
std::string u64(std::uint64_t number) {
    std::string bytes(8, '\0');
    protocol::store_be64(bytes.data(), number);
    return bytes;
}

std::vector<std::string> run_script(ScriptTarget& target, const std::vector<ScriptStep>& script) {
    std::vector<std::string> complaints;
    std::map<std::string, std::uint64_t> remembered;
    target.connect();
    for (const ScriptStep& step : script) {
        const auto complain = [&](const std::string& what) { complaints.push_back(step.name + ": " + what); };
        if (step.wait_seconds > 0) target.wait(step.wait_seconds);
        std::string bytes;
        for (std::size_t i = 0; i < step.send.size(); ++i) {
            const ScriptRequest& r = step.send[i];
            if (!r.raw.empty()) {
                bytes += r.raw;
                continue;
            }
            const std::uint64_t cas = r.cas_of.empty() ? r.cas_plus : remembered[r.cas_of] + r.cas_plus;
            bytes += header(r.opcode, r.key.size(), r.extras.size(), r.key.size() + r.extras.size() + r.value.size(),
                            static_cast<std::uint32_t>(i + 1), cas);
            bytes += r.extras + r.key + r.value;
        }
        if (!step.closes) bytes += header(Opcode::noop, 0, 0, 0, sentinel, 0);

        bool closed = false;
        const auto done = [&](std::string_view got) {
            protocol::Frame frame;
            while (true) {
                const auto parsed = protocol::parse_frame(got, frame);
                if (parsed.status != protocol::ParseStatus::complete) return false;
                if (frame.opaque == sentinel) return true;
                got.remove_prefix(parsed.size);
            }
        };
        const std::string got = target.exchange(bytes, done, closed);
        if (closed != step.closes) complain(closed ? "the connection was closed" : "the connection was not closed");
        if (closed) target.connect();

        std::string_view rest = got;
        protocol::Frame frame;
        for (const ScriptAnswer& expected : step.expect) {
            const auto parsed = protocol::parse_frame(rest, frame);
            if (parsed.status != protocol::ParseStatus::complete) {
                complain("no answer to request " + std::to_string(expected.of));
                break;
            }
            rest.remove_prefix(parsed.size);
            const std::string which = "answer to request " + std::to_string(expected.of) + ": ";
            const auto compare = [&](const char* what, std::string_view is, std::string_view should) {
                if (is != should) complain(which + what + " is " + printable(is) + ", not " + printable(should));
            };
            if (frame.magic != protocol::Magic::client_response) complain(which + "magic");
            if (expected.of >= step.send.size() || frame.opcode != step.send[expected.of].opcode) {
                complain(which + "opcode is " + std::to_string(static_cast<int>(frame.opcode)));
            }
            if (frame.opaque != expected.of + 1) complain(which + "opaque is " + std::to_string(frame.opaque));
            if (frame.status() != expected.status) complain(which + "status is " + std::to_string(frame.specific));
            if (frame.datatype != 0) complain(which + "datatype");
            compare("extras", frame.extras, expected.extras);
            compare("key", frame.key, expected.key);
            if (expected.any_value) {
                if (frame.value.empty()) complain(which + "no value");
            } else {
                compare("value", frame.value, expected.value);
            }
            const bool has_cas = expected.cas || !expected.remember.empty();
            if ((frame.cas != 0) != has_cas) complain(which + (has_cas ? "no CAS" : "a CAS"));
            if (!expected.remember.empty()) {
                const auto [known, fresh] = remembered.try_emplace(expected.remember, frame.cas);
                if (!fresh && known->second != frame.cas) complain(which + "the CAS changed");
            }
        }
        if (!step.closes) {
            const auto parsed = protocol::parse_frame(rest, frame);
            if (parsed.status != protocol::ParseStatus::complete || frame.opaque != sentinel) {
                complain("one answer too many: " + printable(rest));
            } else {
                rest.remove_prefix(parsed.size);
            }
        }
        if (!rest.empty() && step.closes) complain("one answer too many: " + printable(rest));
    }
    return complaints;
}

std::vector<ScriptStep> memcached_script() {
    const std::string long_key(250, 'k');
    const std::string big(1024 * 1024, 'b');
    std::string everything(256, '\0');
    for (std::size_t i = 0; i < 256; ++i) everything[i] = static_cast<char>(i);
    std::vector<ScriptStep> s;
    s.push_back({"noop", {{.opcode = Opcode::noop}}, {empty(0)}});
    s.push_back({"version", {{.opcode = Opcode::version}}, {{.of = 0, .any_value = true}}});
    s.push_back({"miss", {get("nobody")}, {miss(0)}});
    s.push_back({"set, get",
                 {set("a", "one", 0xdeadbeef), get("a")},
                 {stored(0, "a"), {.of = 1, .value = "one", .extras = u32(0xdeadbeef), .remember = "a"}}});
    s.push_back({"any byte in key and value",
                 {set("k\r\n\t x", everything), get("k\r\n\t x")},
                 {stored(0), hit(1, everything)}});
    s.push_back({"empty value", {set("empty", ""), get("empty")}, {stored(0), hit(1, "")}});
    s.push_back({"longest key", {set(long_key, "x"), get(long_key)}, {stored(0), hit(1, "x")}});
    s.push_back({"key too long", {get(long_key + "k")}, {invalid(0)}, true});
    s.push_back({"key too long to set", {set(long_key + "k", "x")}, {invalid(0)}, true});
    s.push_back({"no key", {get("")}, {invalid(0)}, true});
    s.push_back({"getk",
                 {{.opcode = Opcode::getk, .key = "a"}, {.opcode = Opcode::getk, .key = "nobody"}},
                 {{.of = 0, .value = "one", .extras = u32(0xdeadbeef), .key = "a", .cas = true},
                  {.of = 1, .status = Status::key_enoent, .key = "nobody"}}});
    s.push_back({"quiet gets",
                 {{.opcode = Opcode::getq, .key = "a"},
                  {.opcode = Opcode::getq, .key = "nobody"},
                  {.opcode = Opcode::getkq, .key = "a"},
                  {.opcode = Opcode::getkq, .key = "nobody"}},
                 {{.of = 0, .value = "one", .extras = u32(0xdeadbeef), .cas = true},
                  {.of = 2, .value = "one", .extras = u32(0xdeadbeef), .key = "a", .cas = true}}});
    s.push_back(
        {"get with extras or a value", {{.opcode = Opcode::get, .key = "a", .extras = u32(1)}}, {invalid(0)}, true});
    s.push_back({"get with a value", {{.opcode = Opcode::get, .key = "a", .value = "x"}}, {invalid(0)}, true});
    s.push_back({"set without extras", {{.opcode = Opcode::set, .key = "a", .value = "x"}}, {invalid(0)}, true});

    s.push_back({"add",
                 {store(Opcode::add, "add", "1"), store(Opcode::add, "add", "2"), get("add")},
                 {stored(0, "add"), exists(1), hit(2, "1")}});
    s.push_back({"add with a CAS",
                 {store(Opcode::add, "add2", "1", {}, 77), store(Opcode::add, "add", "3", "add")},
                 {miss(0), stored(1)}});
    s.push_back({"replace",
                 {store(Opcode::replace, "nobody", "1"), store(Opcode::replace, "add", "4"), get("add")},
                 {miss(0), stored(1, "replaced"), hit(2, "4")}});
    s.push_back({"set with CAS",
                 {store(Opcode::set, "add", "5", "replaced", 1000), store(Opcode::set, "add", "6", "replaced"),
                  store(Opcode::set, "nobody", "7", {}, 5), get("add")},
                 {exists(0), stored(1, "set"), miss(2), hit(3, "6")}});
    s.push_back({"replace with CAS",
                 {store(Opcode::replace, "add", "8", "set", 9), store(Opcode::replace, "add", "9", "set")},
                 {exists(0), stored(1)}});
    s.push_back({"quiet mutations, silent",
                 {store(Opcode::setq, "q", "1"),
                  store(Opcode::replaceq, "q", "2"),
                  store(Opcode::appendq, "q", "3"),
                  store(Opcode::prependq, "q", "1"),
                  store(Opcode::addq, "q2", "x"),
                  get("q"),
                  get("q2"),
                  counter(Opcode::incrementq, "q", 1, 0),
                  counter(Opcode::decrementq, "q", 2, 0),
                  get("q"),
                  {.opcode = Opcode::removeq, .key = "q2"},
                  get("q2")},
                 {hit(5, "123"), hit(6, "x"), hit(9, "122"), miss(11)}});
    s.push_back({"quiet mutations, refused",
                 {store(Opcode::addq, "q", "1"),
                  store(Opcode::replaceq, "nobody", "2"),
                  store(Opcode::appendq, "nobody", "3"),
                  store(Opcode::setq, "q", "4", "set"),
                  {.opcode = Opcode::removeq, .key = "nobody"},
                  counter(Opcode::incrementq, "a", 1, 0)},
                 {exists(0), miss(1), not_stored(2), exists(3), miss(4), bad_number(5)}});

    s.push_back(
        {"remove",
         {set("r", "1"), {.opcode = Opcode::remove, .key = "r"}, {.opcode = Opcode::remove, .key = "r"}, get("r")},
         {stored(0), empty(1), miss(2), miss(3)}});
    s.push_back({"remove with CAS: one", {set("r", "2")}, {stored(0, "r")}});
    s.push_back({"remove with CAS: two",
                 {{.opcode = Opcode::remove, .key = "r", .cas_of = "r", .cas_plus = 1},
                  {.opcode = Opcode::remove, .key = "r", .cas_of = "r"}},
                 {exists(0), empty(1)}});
    s.push_back({"remove with extras", {{.opcode = Opcode::remove, .key = "r", .extras = u32(0)}}, {invalid(0)}, true});

    // A GET that is not answered yet would keep the real one from changing the value in place: hence steps.
    s.push_back({"counter",
                 {counter(Opcode::increment, "c", 5, 10), counter(Opcode::increment, "c", 5, 10),
                  counter(Opcode::decrement, "c", 7, 0), get("c")},
                 {{.of = 0, .value = u64(10), .cas = true},
                  {.of = 1, .value = u64(15), .cas = true},
                  {.of = 2, .value = u64(8), .cas = true},
                  hit(3, "8 ")}});
    s.push_back({"counter: floors at 0",
                 {counter(Opcode::decrement, "c", 100, 0), get("c")},
                 {{.of = 0, .value = u64(0), .cas = true}, hit(1, "0 ")}});
    s.push_back({"counter: by nothing",
                 {counter(Opcode::increment, "c", 0, 0), get("c")},
                 {{.of = 0, .value = u64(0), .cas = true}, hit(1, "0 ")}});
    s.push_back(
        {"counter: wraps, grows, floors",
         {set("w", "18446744073709551615"), counter(Opcode::increment, "w", 1, 0), get("w"),
          counter(Opcode::decrement, "w", 1, 0), set("g", "99"), counter(Opcode::increment, "g", 1, 0), get("g")},
         {stored(0),
          {.of = 1, .value = u64(0), .cas = true},
          hit(2, "0                   "),
          {.of = 3, .value = u64(0), .cas = true},
          stored(4),
          {.of = 5, .value = u64(100), .cas = true},
          hit(6, "100")}});
    s.push_back({"counter: none to be made",
                 {counter(Opcode::increment, "none", 1, 1, 0xffffffff), get("none")},
                 {miss(0), miss(1)}});
    s.push_back({"counter: initial beyond the signed range",
                 {counter(Opcode::decrement, "i", 1, 0xffffffffffffffff), get("i")},
                 {{.of = 0, .value = u64(0xffffffffffffffff), .cas = true}, hit(1, "18446744073709551615")}});
    s.push_back(
        {"counter: what is a number",
         {set("n", "abc"), counter(Opcode::increment, "n", 1, 0), set("n", ""), counter(Opcode::increment, "n", 1, 0),
          set("n", "12abc"), counter(Opcode::increment, "n", 1, 0), set("n", "12 abc"),
          counter(Opcode::increment, "n", 1, 0), get("n"), set("n", " 7"), counter(Opcode::increment, "n", 1, 0),
          get("n"), set("n", "-5"), counter(Opcode::increment, "n", 1, 0), set("n", "18446744073709551616"),
          counter(Opcode::increment, "n", 1, 0)},
         {stored(0),
          bad_number(1),
          stored(2),
          bad_number(3),
          stored(4),
          bad_number(5),
          stored(6),
          {.of = 7, .value = u64(13), .cas = true},
          hit(8, "13    "),
          stored(9),
          {.of = 10, .value = u64(8), .cas = true},
          hit(11, "8 "),
          stored(12),
          bad_number(13),
          stored(14),
          bad_number(15)}});
    s.push_back({"counter with CAS: one", {set("cc", "1", 3)}, {stored(0, "cc")}});
    s.push_back(
        {"counter with CAS: two",
         {{.opcode = Opcode::increment, .key = "cc", .extras = u64(1) + u64(0) + u32(0), .cas_of = "cc", .cas_plus = 5},
          {.opcode = Opcode::increment, .key = "cc", .extras = u64(1) + u64(0) + u32(0), .cas_of = "cc"},
          get("cc")},
         {exists(0),
          {.of = 1, .value = u64(2), .remember = "cc2"},
          {.of = 2, .value = "2", .extras = u32(3), .remember = "cc2"}}});
    s.push_back({"counter with short extras",
                 {{.opcode = Opcode::increment, .key = "c", .extras = u64(1)}},
                 {invalid(0)},
                 true});

    s.push_back(
        {"append, prepend",
         {set("ap", "mid", 9), store(Opcode::append, "ap", ">"), store(Opcode::prepend, "ap", "<"), get("ap"),
          store(Opcode::append, "nobody", "x"), store(Opcode::prepend, "nobody", "x"), store(Opcode::append, "ap", "")},
         {stored(0),
          stored(1),
          stored(2, "ap"),
          {.of = 3, .value = "<mid>", .extras = u32(9), .remember = "ap"},
          not_stored(4),
          not_stored(5),
          stored(6, "ap2")}});
    s.push_back({"append with CAS",
                 {store(Opcode::append, "ap", "!", "ap"), store(Opcode::append, "ap", "!", "ap2"),
                  store(Opcode::prepend, "nobody", "x", {}, 8)},
                 {exists(0), stored(1), not_stored(2)}});

    s.push_back({"touch, gat, gatk",
                 {set("t", "v", 5),
                  {.opcode = Opcode::touch, .key = "t", .extras = u32(100)},
                  {.opcode = Opcode::touch, .key = "nobody", .extras = u32(100)},
                  {.opcode = Opcode::gat, .key = "t", .extras = u32(0)},
                  {.opcode = Opcode::gat, .key = "nobody", .extras = u32(0)},
                  {.opcode = Opcode::gatk, .key = "t", .extras = u32(0)},
                  {.opcode = Opcode::gatk, .key = "nobody", .extras = u32(0)},
                  {.opcode = Opcode::gatq, .key = "t", .extras = u32(0)},
                  {.opcode = Opcode::gatq, .key = "nobody", .extras = u32(0)},
                  {.opcode = Opcode::gatkq, .key = "t", .extras = u32(0)},
                  {.opcode = Opcode::gatkq, .key = "nobody", .extras = u32(0)}},
                 {stored(0, "t"),
                  {.of = 1, .extras = u32(5), .remember = "t"},
                  miss(2),
                  {.of = 3, .value = "v", .extras = u32(5), .remember = "t"},
                  miss(4),
                  {.of = 5, .value = "v", .extras = u32(5), .key = "t", .remember = "t"},
                  {.of = 6, .status = Status::key_enoent, .key = "nobody"},
                  {.of = 7, .value = "v", .extras = u32(5), .cas = true},
                  {.of = 9, .value = "v", .extras = u32(5), .key = "t", .cas = true}}});
    s.push_back({"touch without extras", {{.opcode = Opcode::touch, .key = "t"}}, {invalid(0)}, true});

    s.push_back({"value too large: swallowed, and the old one forgotten",
                 {set("large", "small"), set("large", big), get("large")},
                 {stored(0), error(1, Status::e2big, "Too large."), miss(2)}});
    s.push_back({"value too large: add, replace and append keep the old one",
                 {set("large", "small"), store(Opcode::add, "large", big), store(Opcode::replace, "large", big),
                  store(Opcode::append, "large", big), store(Opcode::setq, "other", big), get("large")},
                 {stored(0), error(1, Status::e2big, "Too large."), error(2, Status::e2big, "Too large."),
                  error(3, Status::e2big, "Too large."), error(4, Status::e2big, "Too large."), hit(5, "small")}});
    // Header 48, CAS 8, key 4 + 1, "\r\n" 2; flags 4 more.
    s.push_back({"the largest value",
                 {set("size", big.substr(63)), set("size", big.substr(63), 1), set("size", big.substr(62))},
                 {stored(0), error(1, Status::e2big, "Too large."), error(2, Status::e2big, "Too large.")}});
    s.push_back({"append grows over the limit",
                 {set("grow", std::string(600'000, 'g')),
                  store(Opcode::append, "grow", std::string(600'000, 'h')),
                  store(Opcode::append, "grow", "i"),
                  {.opcode = Opcode::remove, .key = "grow"}},
                 {stored(0), not_stored(1), stored(2), empty(3)}});

    s.push_back({"unknown commands without a body",
                 {{.opcode = Opcode::get_cluster_config}, {.opcode = static_cast<Opcode>(0x7e)}},
                 {unknown(0), unknown(1)}});
    // The body is skipped a second time as far as it is extras and key: NOOPs fill it, and are not answered.
    s.push_back({"an unknown command with extras and key loses step",
                 {{.opcode = Opcode::select_bucket, .key = std::string(24, 's')},
                  {.raw = header(Opcode::noop, 0, 0, 0, 99, 0)}},
                 {unknown(0)}});
    s.push_back({"an unknown command with a value only",
                 {{.opcode = Opcode::hello, .value = "0123456789"}, get("a")},
                 {unknown(0), hit(1, "one", 0xdeadbeef)}});
    s.push_back({"verbosity", {{.opcode = Opcode::verbosity, .extras = u32(1)}, {.raw = "four"}}, {unknown(0)}});
    s.push_back(
        {"SASL is off",
         {{.opcode = Opcode::sasl_list_mechs}, {.opcode = Opcode::sasl_auth, .key = "PLAIN", .value = "abc"}, get("a")},
         {unknown(0), unknown(1), hit(2, "one", 0xdeadbeef)}});
    s.push_back({"another magic", {{.raw = std::string("\x81") + std::string(23, '\0')}}, {}, true});
    s.push_back({"flexible framing", {{.raw = std::string("\x08") + std::string(23, '\0')}}, {}, true});
    s.push_back({"noop with a key", {{.opcode = Opcode::noop, .key = "x"}}, {invalid(0)}, true});
    s.push_back({"version with extras", {{.opcode = Opcode::version, .extras = "x"}}, {invalid(0)}, true});

    s.push_back({"stat: groups",
                 {{.opcode = Opcode::stat, .key = "reset"},
                  {.opcode = Opcode::stat, .key = "detail on"},
                  {.opcode = Opcode::stat, .key = "detail off"},
                  {.opcode = Opcode::stat, .key = "conns"},
                  {.opcode = Opcode::stat, .key = "nonsense"},
                  {.opcode = Opcode::stat, .key = "detail nonsense"},
                  {.opcode = Opcode::stat, .key = "sizes"}},
                 {empty(0),
                  empty(1),
                  empty(2),
                  miss(3),
                  miss(4),
                  miss(5),
                  {.of = 6, .value = "disabled", .key = "sizes_status"},
                  empty(6)}});
    s.push_back({"stat with extras", {{.opcode = Opcode::stat, .extras = u32(0)}}, {invalid(0)}, true});

    s.push_back({"quit", {set("before", "1"), {.opcode = Opcode::quit}, get("before")}, {stored(0), empty(1)}, true});
    s.push_back({"quitq", {set("before", "2"), {.opcode = Opcode::quitq}, get("before")}, {stored(0)}, true});

    s.push_back({"expiry",
                 {set("e0", "never"),
                  set("e1", "soon", 0, 1),
                  set("e2", "much later", 0, 60 * 60 * 24 * 30),
                  set("e3", "in the past", 0, 60 * 60 * 24 * 30 + 1),
                  set("e4", "far future", 0, 0x7fffffff),
                  set("e5", "not negative", 0, 0xffffffff),
                  set("e6", "nor that", 0, 0x80000000),
                  set("e7", "touched", 0, 1),
                  {.opcode = Opcode::touch, .key = "e7", .extras = u32(100)},
                  set("e8", "shortened"),
                  {.opcode = Opcode::gat, .key = "e8", .extras = u32(1)},
                  counter(Opcode::increment, "e9", 1, 5, 1),
                  set("ea", "x", 0, 1),
                  store(Opcode::append, "ea", "y"),
                  get("e3"),
                  get("e4"),
                  get("e5"),
                  get("e6")},
                 {stored(0),
                  stored(1),
                  stored(2),
                  stored(3),
                  stored(4),
                  stored(5),
                  stored(6),
                  stored(7),
                  {.of = 8, .extras = u32(0), .cas = true},
                  stored(9),
                  hit(10, "shortened"),
                  {.of = 11, .value = u64(5), .cas = true},
                  stored(12),
                  stored(13),
                  miss(14),
                  hit(15, "far future"),
                  hit(16, "not negative"),
                  hit(17, "nor that")}});
    s.push_back({"expiry, later",
                 {get("e0"), get("e1"), get("e2"), get("e7"), get("e8"), get("e9"), store(Opcode::add, "e1", "again"),
                  get("ea"), get("e5"), get("e6")},
                 {hit(0, "never"), miss(1), hit(2, "much later"), hit(3, "touched"), miss(4), miss(5), stored(6),
                  miss(7), hit(8, "not negative"), hit(9, "nor that")},
                 false,
                 3});

    s.push_back({"flush",
                 {set("f", "1"), {.opcode = Opcode::flush}, get("f"), set("f", "2"), get("f")},
                 {stored(0), empty(1), miss(2), stored(3), hit(4, "2")}});
    s.push_back(
        {"flushq, flush with extras of zero",
         {{.opcode = Opcode::flushq}, get("f"), set("f", "3"), {.opcode = Opcode::flush, .extras = u32(0)}, get("f")},
         {miss(1), stored(2), empty(3), miss(4)}});
    s.push_back({"flush with a delay",
                 {set("f", "4"), {.opcode = Opcode::flush, .extras = u32(2)}, get("f")},
                 {stored(0), empty(1), hit(2, "4")}});
    s.push_back({"flush with a delay, later",
                 {get("f"), set("f", "5"), get("f")},
                 {miss(0), stored(1), hit(2, "5")},
                 false,
                 4});
    s.push_back({"flush with wrong extras", {{.opcode = Opcode::flush, .extras = "xy"}}, {invalid(0)}, true});
    s.push_back({"key longer than the body",
                 {{.opcode = Opcode::get, .raw = header(Opcode::get, 3, 0, 1, 1, 0) + "abc"}},
                 {unknown(0)},
                 true});
    return s;
}

std::vector<ScriptStep> unauthenticated_script() {
    const ScriptAnswer failure = error(0, Status::auth_error, "Auth failure.");
    std::vector<ScriptStep> s;
    for (ScriptRequest request :
         {get("a"), set("a", "1"), ScriptRequest{.opcode = Opcode::noop},
          ScriptRequest{.opcode = Opcode::getq, .key = "a"}, ScriptRequest{.opcode = Opcode::stat},
          ScriptRequest{.opcode = static_cast<Opcode>(0x7e)}}) {
        s.push_back({"before authentication", {request}, {failure}, true});
    }
    s.push_back(
        {"version and list, then closed",
         {{.opcode = Opcode::version}, {.opcode = Opcode::sasl_list_mechs}, {.opcode = Opcode::quit}},
         {{.of = 0, .any_value = true}, {.of = 1, .any_value = true}, error(2, Status::auth_error, "Auth failure.")},
         true});
    s.push_back({"wrong password, unknown mechanism, step without a start: it stays open until another command",
                 {{.opcode = Opcode::sasl_auth, .key = "PLAIN", .value = std::string("\0nobody\0wrong", 13)},
                  {.opcode = Opcode::sasl_auth, .key = "NONSENSE", .value = "x"},
                  {.opcode = Opcode::sasl_step, .key = "PLAIN", .value = "x"},
                  {.opcode = Opcode::sasl_auth, .key = std::string(33, 'm'), .value = "swallowed"},
                  {.opcode = Opcode::noop}},
                 {failure, error(1, Status::auth_error, "Auth failure."), error(2, Status::auth_error, "Auth failure."),
                  invalid(3), error(4, Status::auth_error, "Auth failure.")},
                 true});
    return s;
}

}  // namespace chaise::testing
