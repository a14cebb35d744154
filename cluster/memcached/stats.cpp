// STAT of the simulated memcached: one frame for each statistic, then an empty one.

#include "cluster/memcached/engine.hpp"
#include "protocol/response_encoder.hpp"

namespace chaise::testing {

using protocol::Status;

void MemcachedEngine::execute_stat(const MemcachedRequest& request, UnixSeconds now, std::string& out) {
    const auto frame = [&](std::string_view name, std::string_view value) {
        protocol::append_to(
            out, protocol::Response{
                     .opcode = protocol::Opcode::stat, .opaque = request.opaque, .key = name, .value = value});
    };
    const auto number = [&](std::string_view name, std::uint64_t value) { frame(name, std::to_string(value)); };
    const MemcachedCounters& c = store_.counters();
    const std::string_view group = request.key;
    if (group.empty()) {
        number("pid", 1);
        number("uptime", static_cast<std::uint64_t>(now - store_.started()));
        number("time", static_cast<std::uint64_t>(now));
        frame("version", options_.version);
        number("pointer_size", 64);
        number("curr_connections", connections_);
        number("total_connections", total_connections_);
        number("cmd_get", c.cmd_get);
        number("cmd_set", c.cmd_set);
        number("cmd_flush", c.cmd_flush);
        number("cmd_touch", c.cmd_touch);
        number("get_hits", c.get_hits);
        number("get_misses", c.get_misses);
        number("get_expired", c.get_expired);
        number("get_flushed", c.get_flushed);
        number("delete_misses", c.delete_misses);
        number("delete_hits", c.delete_hits);
        number("incr_misses", c.incr_misses);
        number("incr_hits", c.incr_hits);
        number("decr_misses", c.decr_misses);
        number("decr_hits", c.decr_hits);
        number("cas_misses", c.cas_misses);
        number("cas_hits", c.cas_hits);
        number("cas_badval", c.cas_badval);
        number("touch_hits", c.touch_hits);
        number("touch_misses", c.touch_misses);
        number("threads", 1);
        number("bytes", store_.bytes());
        number("curr_items", store_.size());
        number("total_items", c.total_items);
        number("evictions", c.evictions);
    } else if (group.starts_with("reset")) {
        store_.counters() = {};
    } else if (group.starts_with("settings")) {
        number("maxbytes", 67'108'864);
        number("maxconns", 1024);
        frame("auth_enabled_sasl", options_.users.empty() ? "no" : "yes");
        frame("binding_protocol", "binary");
        number("item_size_max", options_.item_size_max);
        frame("cas_enabled", "yes");
        frame("flush_enabled", "yes");
    } else if (group == "items") {
        if (store_.size() > 0) number("items:1:number", store_.size());
    } else if (group == "slabs") {
        number("active_slabs", store_.size() > 0 ? 1 : 0);
        number("total_malloced", store_.bytes());
    } else if (group == "sizes") {
        frame("sizes_status", "disabled");
    } else if (group == "detail dump") {
        frame("detailed", "");
    } else if (group != "detail on" && group != "detail off") {
        protocol::append_to(out, protocol::Response{.opcode = protocol::Opcode::stat,
                                                    .status = Status::key_enoent,
                                                    .opaque = request.opaque,
                                                    .value = memcached_error_text(Status::key_enoent)});
        return;
    }
    frame({}, {});
}

}  // namespace chaise::testing
