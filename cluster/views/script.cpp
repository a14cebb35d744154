#include "cluster/views/script.hpp"

#include <duktape.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "cluster/views/script_steps.hpp"
#include "protocol/json_text.hpp"

// Duktape is C and throws by longjmp: whatever it may throw through has nothing to destroy.
namespace chaise::testing {

namespace {

/// In front of each block that the engine allocates.
struct alignas(std::max_align_t) BlockHead {
    std::size_t size;
};

struct Memory {
    std::size_t used = 0;
    std::size_t max = 0;
};

void* allocate(void* context, duk_size_t size) noexcept {
    auto& memory = *static_cast<Memory*>(context);
    if (size == 0 || size > memory.max - memory.used) return nullptr;
    auto* head = static_cast<BlockHead*>(std::malloc(sizeof(BlockHead) + size));
    if (head == nullptr) return nullptr;
    head->size = size;
    memory.used += size;
    return head + 1;
}

void release(void* context, void* block) noexcept {
    if (block == nullptr) return;
    BlockHead* head = static_cast<BlockHead*>(block) - 1;
    static_cast<Memory*>(context)->used -= head->size;
    std::free(head);
}

void* reallocate(void* context, void* block, duk_size_t size) noexcept {
    if (block == nullptr) return allocate(context, size);
    if (size == 0) {
        release(context, block);
        return nullptr;
    }
    auto& memory = *static_cast<Memory*>(context);
    BlockHead* head = static_cast<BlockHead*>(block) - 1;
    const std::size_t before = head->size;
    if (size > before && size - before > memory.max - memory.used) return nullptr;
    head = static_cast<BlockHead*>(std::realloc(head, sizeof(BlockHead) + size));
    if (head == nullptr) return nullptr;
    head->size = size;
    memory.used += size - before;
    return head + 1;
}

// The engine has characters beyond the first plane as it met them: whole, or as two surrogates of three bytes each.
std::string unicode(const char* data, std::size_t size) {
    const std::string_view text(data, size);
    const auto at = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const auto surrogate = [&](std::size_t i, unsigned from) {
        return at(i) == 0xed && at(i + 1) >= from && at(i + 1) < from + 0x10 && (at(i + 2) & 0xc0) == 0x80;
    };
    const auto ten_bits = [&](std::size_t i) { return (at(i + 1) & 0xfu) << 6 | (at(i + 2) & 0x3fu); };
    std::string out;
    out.reserve(size);
    for (std::size_t i = 0; i < text.size();) {
        if (surrogate(i, 0xa0) && surrogate(i + 3, 0xb0)) {
            const unsigned point = 0x10000 + (ten_bits(i) << 10) + ten_bits(i + 3);
            for (int shift = 18; shift >= 0; shift -= 6) {
                out += static_cast<char>(shift == 18 ? 0xf0 | point >> 18 : 0x80 | (point >> shift & 0x3f));
            }
            i += 6;
        } else if (surrogate(i, 0xa0) || surrogate(i, 0xb0)) {  // half of a pair is no text
            out += "\xef\xbf\xbd";
            i += 3;
        } else {
            out += text[i++];
        }
    }
    return out;
}

constexpr const char* prelude = R"js(
(function (global) {
    var base64 = Duktape.dec;
    global.sum = function (values) {
        var total = 0;
        for (var i = 0; i < values.length; i++) total += values[i];
        return total;
    };
    global.dateToArray = function (date) {
        var d = date && date.getUTCFullYear ? date : new Date(date);
        return isFinite(d) ? [d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate(),
                              d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()] : null;
    };
    global.decodeBase64 = function (text) {
        var bytes = base64('base64', text), list = [];
        for (var i = 0; i < bytes.length; i++) list.push(bytes[i]);
        return list;
    };
    delete global.Duktape;
    delete global.Proxy;  // not of ES5, and `with` one all names can be seen
    delete global.eval;
    delete Function.prototype.constructor;
    delete global.Function;
})(this)
)js";

}  // namespace

struct Script::Engine {
    Memory memory;
    ScriptLimits limits;
    duk_context* context = nullptr;
    std::uint64_t steps_left = 0;
    std::string step;  // the name of what counts
    Function functions = 0;
    // Of the call under way.
    std::vector<Emitted>* emitted = nullptr;
    std::size_t emitted_bytes = 0;

    static Engine& of(duk_context* duk) noexcept {
        duk_memory_functions functions;
        duk_get_memory_functions(duk, &functions);
        // The memory is its first member.
        return *reinterpret_cast<Engine*>(functions.udata);
    }

    [[nodiscard]] bool add(const char* key, std::size_t key_size, const char* value, std::size_t value_size) noexcept {
        emitted_bytes += key_size + value_size;
        if (emitted_bytes > limits.emitted) return false;
        try {
            emitted->push_back({unicode(key, key_size), unicode(value, value_size)});
            return true;
        } catch (...) {
            return false;
        }
    }

    /// The error on top of the stack, as text; popped.
    std::string take_error() {
        std::size_t size = 0;
        const char* text = duk_safe_to_lstring(context, -1, &size);
        std::string error(text, size);
        duk_pop(context);
        return error;
    }
};

namespace {

struct Call {
    std::size_t function;
    const char* document;
    std::size_t document_size;
    const char* second;
    std::size_t second_size;
    bool rereduce;
    // What came of it, on the stack's top while it is read.
    const char* result;
    std::size_t result_size;
};

}  // namespace

Script::Script(std::uint64_t salt, const ScriptLimits& limits) : engine_(std::make_unique<Engine>()) {
    static_assert(offsetof(Engine, memory) == 0);
    engine_->limits = limits;
    engine_->memory.max = limits.memory;
    engine_->step = "__chaise_step_" + protocol::json_hex(salt);
    duk_context* duk = duk_create_heap(allocate, reallocate, release, engine_.get(), nullptr);
    if (duk == nullptr) throw std::bad_alloc();
    engine_->context = duk;
    duk_push_heap_stash(duk);
    duk_push_c_function(
        duk,
        [](duk_context* c) -> duk_ret_t {
            Engine& engine = Engine::of(c);
            if (engine.steps_left == 0) return duk_error(c, DUK_ERR_RANGE_ERROR, "function executed for too long");
            --engine.steps_left;
            duk_push_true(c);
            return 1;
        },
        0);
    duk_put_prop_string(duk, -2, "step");
    duk_pop(duk);
    duk_push_c_function(
        duk,
        [](duk_context* c) -> duk_ret_t {
            Engine& engine = Engine::of(c);
            if (engine.emitted == nullptr) return duk_error(c, DUK_ERR_ERROR, "emit is for map functions");
            for (int i = 0; i < 2; ++i) {
                if (duk_is_undefined(c, i) || duk_is_function(c, i)) {
                    duk_push_null(c);
                    duk_replace(c, i);
                }
                duk_json_encode(c, i);
            }
            std::size_t key_size = 0;
            std::size_t value_size = 0;
            const char* key = duk_get_lstring_default(c, 0, &key_size, "null", 4);
            const char* value = duk_get_lstring_default(c, 1, &value_size, "null", 4);
            if (!engine.add(key, key_size, value, value_size)) {
                return duk_error(c, DUK_ERR_RANGE_ERROR, "too much emitted");
            }
            return 0;
        },
        2);
    duk_put_global_string(duk, "emit");
    engine_->steps_left = limits.steps;
    if (duk_peval_string(duk, prelude) != 0) throw std::runtime_error("Script: " + engine_->take_error());
    duk_pop(duk);
}

Script::~Script() {
    if (engine_->context != nullptr) duk_destroy_heap(engine_->context);
}

std::optional<Script::Function> Script::compile(std::string_view source, std::string& error) {
    Engine& engine = *engine_;
    duk_context* duk = engine.context;
    // Its function is on the stack's top then.
    const auto compiled = [&](std::string_view text) {
        duk_push_lstring(duk, "function", 8);
        if (duk_pcompile_lstring_filename(duk, DUK_COMPILE_FUNCTION, text.data(), text.size()) == 0) return true;
        error = engine.take_error();
        return false;
    };
    // First as it is: the message is about what the user wrote.
    if (!compiled(source)) return std::nullopt;
    duk_pop(duk);
    const auto counted = with_steps(source, engine.step);
    if (!counted) {
        error =
            "not understood: a slash behind a closing brace (put a parenthesis or a semicolon between them), or <!--";
        return std::nullopt;
    }
    // What counts is an argument around it: no object has it, so that no script finds its name.
    if (!compiled("function (" + engine.step + ") { return (" + *counted + "\n); }")) return std::nullopt;
    duk_push_heap_stash(duk);
    duk_get_prop_string(duk, -1, "step");
    duk_remove(duk, -2);
    if (duk_pcall(duk, 1) != 0) {
        error = engine.take_error();
        return std::nullopt;
    }
    duk_push_heap_stash(duk);
    duk_swap_top(duk, -2);
    duk_put_prop_index(duk, -2, static_cast<duk_uarridx_t>(engine.functions));
    duk_pop(duk);
    return engine.functions++;
}

bool Script::map(Function function, std::string_view document, std::string_view meta, std::vector<Emitted>& emitted,
                 std::string& error) {
    Engine& engine = *engine_;
    const std::size_t before = emitted.size();
    Call call{function, document.data(), document.size(), meta.data(), meta.size(), false, nullptr, 0};
    engine.steps_left = engine.limits.steps;
    engine.emitted = &emitted;
    engine.emitted_bytes = 0;
    const bool good = duk_safe_call(
                          engine.context,
                          [](duk_context* c, void* data) -> duk_ret_t {
                              const Call& it = *static_cast<const Call*>(data);
                              duk_push_heap_stash(c);
                              duk_get_prop_index(c, -1, static_cast<duk_uarridx_t>(it.function));
                              duk_push_lstring(c, it.document, it.document_size);
                              duk_json_decode(c, -1);
                              duk_push_lstring(c, it.second, it.second_size);
                              duk_json_decode(c, -1);
                              duk_call(c, 2);
                              duk_push_null(c);
                              return 1;
                          },
                          &call, 0, 1) == DUK_EXEC_SUCCESS;
    engine.emitted = nullptr;
    if (good) {
        duk_pop(engine.context);
        return true;
    }
    emitted.resize(before);
    error = engine.take_error();
    return false;
}

bool Script::reduce(Function function, std::string_view keys, std::string_view values, bool rereduce,
                    std::string& result, std::string& error) {
    Engine& engine = *engine_;
    Call call{function, keys.data(), keys.size(), values.data(), values.size(), rereduce, nullptr, 0};
    engine.steps_left = engine.limits.steps;
    const bool good = duk_safe_call(
                          engine.context,
                          [](duk_context* c, void* data) -> duk_ret_t {
                              Call& it = *static_cast<Call*>(data);
                              duk_push_heap_stash(c);
                              duk_get_prop_index(c, -1, static_cast<duk_uarridx_t>(it.function));
                              duk_push_lstring(c, it.document, it.document_size);
                              duk_json_decode(c, -1);
                              duk_push_lstring(c, it.second, it.second_size);
                              duk_json_decode(c, -1);
                              duk_push_boolean(c, it.rereduce ? 1 : 0);
                              duk_call(c, 3);
                              if (duk_is_undefined(c, -1) || duk_is_function(c, -1)) {
                                  duk_pop(c);
                                  duk_push_null(c);
                              }
                              duk_json_encode(c, -1);
                              it.result = duk_get_lstring_default(c, -1, &it.result_size, "null", 4);
                              return 1;
                          },
                          &call, 0, 1) == DUK_EXEC_SUCCESS;
    if (!good) {
        error = engine.take_error();
        return false;
    }
    result = unicode(call.result, call.result_size);
    duk_pop(engine.context);
    return true;
}

}  // namespace chaise::testing
