#include "protocol/vbucket_requests.hpp"

#include "protocol/base64.hpp"
#include "protocol/json_text.hpp"

namespace chaise::protocol {

namespace {

std::size_t plain_size(const RequestContext& context, std::size_t body) noexcept {
    return header_size + detail::framing_size(context) + body;
}

std::size_t prefix_size(const ObserveKey& key) noexcept { return key.collection ? leb128_size(*key.collection) : 0; }

std::size_t value_size(const ObserveRequest& r) noexcept {
    std::size_t size = 0;
    for (const ObserveKey& key : r.keys) size += 4 + prefix_size(key) + key.key.size();
    return size;
}

std::size_t extras_size(const GetAllVbSeqnosRequest& r) noexcept { return r.collection ? 8 : r.state ? 4 : 0; }

char* put_scan_id(char* out, const RangeScanId& id) noexcept {
    std::memcpy(out, id.data(), id.size());
    return out + id.size();
}

void append_bound(std::string& json, std::string_view which, const RangeScanBound& bound) {
    json += bound.exclusive ? "\"excl_" : "\"";
    json += which;
    json += "\":\"";
    json += base64_encode(bound.key);
    json += '"';
}

std::string_view text(bool value) noexcept { return value ? "true" : "false"; }

}  // namespace

std::size_t encoded_size(const ObserveRequest& r) noexcept { return plain_size(r.context, value_size(r)); }
char* encode(const ObserveRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::observe, 0, 0, value_size(r), out);
    for (const ObserveKey& key : r.keys) {
        out = store_be16(out, key.vbucket);
        out = store_be16(out, static_cast<std::uint16_t>(prefix_size(key) + key.key.size()));
        if (key.collection) out = store_leb128(out, *key.collection);
        out = detail::put(out, key.key);
    }
    return out;
}

std::size_t encoded_size(const ObserveSeqnoRequest& r) noexcept { return plain_size(r.context, 8); }
char* encode(const ObserveSeqnoRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::observe_seqno, 0, 0, 8, out);
    return store_be64(out, r.vbucket_uuid);
}

std::size_t encoded_size(const SeqnoPersistenceRequest& r) noexcept { return plain_size(r.context, 8); }
char* encode(const SeqnoPersistenceRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::seqno_persistence, 8, 0, 0, out);
    return store_be64(out, r.seqno);
}

std::size_t encoded_size(const GetFailoverLogRequest& r) noexcept { return plain_size(r.context, 0); }
char* encode(const GetFailoverLogRequest& r, char* out) noexcept {
    return detail::put_header(r.context, Opcode::get_failover_log, 0, 0, 0, out);
}

std::size_t encoded_size(const GetAllVbSeqnosRequest& r) noexcept { return plain_size(r.context, extras_size(r)); }
char* encode(const GetAllVbSeqnosRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::get_all_vb_seqnos, extras_size(r), 0, 0, out);
    if (r.state || r.collection)
        out = store_be32(out, static_cast<std::uint32_t>(r.state.value_or(VbucketState::any_alive)));
    return r.collection ? store_be32(out, *r.collection) : out;
}

std::string range_scan_json(const RangeScanCreateRequest& r) {
    std::string json = "{";
    const auto member = [&json](std::string_view name) {
        if (json.size() > 1) json += ',';
        ((json += '"') += name) += "\":";
    };
    if (r.collection) {
        member("collection");
        ((json += '"') += json_hex(*r.collection)) += '"';
    }
    if (r.range) {
        member("range");
        json += '{';
        append_bound(json, "start", r.range->start);
        json += ',';
        append_bound(json, "end", r.range->end);
        json += '}';
    }
    if (r.sampling) {
        member("sampling");
        json += "{\"samples\":" + std::to_string(r.sampling->samples);
        if (r.sampling->seed) json += ",\"seed\":" + std::to_string(*r.sampling->seed);
        json += '}';
    }
    if (r.key_only) {
        member("key_only");
        json += text(*r.key_only);
    }
    if (r.include_xattrs) {
        member("include_xattrs");
        json += text(*r.include_xattrs);
    }
    if (r.snapshot) {
        member("snapshot_requirements");
        // The uuid is a decimal string: it does not fit a JSON number.
        json += "{\"vb_uuid\":\"" + std::to_string(r.snapshot->vbucket_uuid) +
                "\",\"seqno\":" + std::to_string(r.snapshot->seqno);
        if (r.snapshot->seqno_exists) (json += ",\"seqno_exists\":") += text(*r.snapshot->seqno_exists);
        if (r.snapshot->timeout_ms) json += ",\"timeout_ms\":" + std::to_string(*r.snapshot->timeout_ms);
        json += '}';
    }
    if (!r.name.empty()) {
        member("name");
        append_json_string(json, r.name);
    }
    return json += '}';
}

std::size_t encoded_size(const RangeScanCreateRequest& r) { return plain_size(r.context, range_scan_json(r).size()); }
char* encode(const RangeScanCreateRequest& r, char* out) {
    const std::string json = range_scan_json(r);
    out = detail::put_header(r.context, Opcode::range_scan_create, 0, 0, json.size(), out);
    return detail::put(out, json);
}

std::size_t encoded_size(const RangeScanContinueRequest& r) noexcept { return plain_size(r.context, 28); }
char* encode(const RangeScanContinueRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::range_scan_continue, 28, 0, 0, out);
    out = put_scan_id(out, r.scan_id);
    out = store_be32(out, r.item_limit);
    out = store_be32(out, r.time_limit_ms);
    return store_be32(out, r.byte_limit);
}

std::size_t encoded_size(const RangeScanCancelRequest& r) noexcept { return plain_size(r.context, 16); }
char* encode(const RangeScanCancelRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::range_scan_cancel, 16, 0, 0, out);
    return put_scan_id(out, r.scan_id);
}

}  // namespace chaise::protocol
