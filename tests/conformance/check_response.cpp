#include "protocol/json_text.hpp"
#include "protocol/responses.hpp"
#include "protocol/snappy.hpp"
#include "vector.hpp"

namespace chaise::testing {

using namespace protocol;

namespace {

template <class T>
T need(std::optional<T> decoded, const char* what) {
    if (!decoded) throw FieldError(std::string("malformed: ") + what);
    return *std::move(decoded);
}

void check_number(const Json& fields, const char* name, std::uint64_t actual) {
    if (const Json* field = fields.find(name)) expect_equal(name, actual, field->number());
}

void check_text(const Json& fields, const char* name, std::string_view actual) {
    if (const Json* field = fields.find(name)) expect_equal(name, actual, field->text());
}

void check_bytes(const Json& fields, const char* name, const RangeScanId& actual) {
    if (const Json* field = fields.find(name))
        expect_equal(name, std::string(actual.begin(), actual.end()), field->bytes());
}

// The value is JSON that another room understands (cluster maps): compared as a document.
void check_json(const Json& decoded, std::string_view text) {
    if (!Json::parse(text).same_as(decoded)) throw FieldError("the JSON of the value differs");
    decoded.mark_all_read();
}

// Calls `each(element)` for every element and expects the reader to have exactly as many.
template <class Reader, class Each>
void check_list(const Json& list, Reader reader, Each each) {
    list.read = true;
    for (const auto& member : list.members) {
        const auto entry = reader.next();
        if (!entry) throw FieldError("more entries than in the bytes");
        each(member.second, *entry);
    }
    if (reader.next() || reader.malformed()) throw FieldError("fewer entries than in the bytes");
}

void check_value_response(const Json* extras, const Json* decoded, const Frame& frame) {
    const ValueResponse response =
        need(frame.opcode == Opcode::get_random_key ? decode_random_key(frame) : decode_value(frame), "value");
    if (extras != nullptr) check_number(*extras, "flags", response.flags);
    if (decoded == nullptr) return;
    if (decoded->has("inflated")) {
        expect_equal("datatype", (response.datatype & 2) != 0, true);
        check_text(*decoded, "inflated", need(snappy_inflate(response.value), "Snappy block"));
        check_number(*decoded, "inflated_length", need(snappy_inflated_size(response.value), "Snappy block"));
    }
    if (const Json* xattrs = decoded->find("xattrs")) {
        expect_equal("datatype", (response.datatype & 4) != 0, true);
        XattrSection section = need(XattrSection::parse(response.value), "xattr section");
        xattrs->read = true;
        for (const auto& [name, value] : xattrs->members) {
            const Xattr attribute = need(section.next(), "xattr");
            expect_equal("xattr name", attribute.name, name);
            check_json(value, attribute.value);
        }
        if (section.next() || section.malformed()) throw FieldError("fewer xattrs than in the bytes");
        if (const Json* body = decoded->find("body")) check_json(*body, section.body());
    }
}

void check_mutation(const Json* extras, const Frame& frame) {
    const MutationResponse response = need(decode_mutation(frame), "mutation");
    if (extras == nullptr) return;
    if (response.token) {
        check_number(*extras, "vbucket_uuid", response.token->vbucket_uuid);
        check_number(*extras, "seqno", response.token->seqno);
    }
    if (response.flags) check_number(*extras, "flags", *response.flags);
}

void check_error_map(const Json& decoded, const Frame& frame) {
    const auto decoded_map = decode_error_map(frame.value);
    const ErrorMap map = need(decoded_map, "error map");
    check_number(decoded, "version", static_cast<std::uint64_t>(map.version));
    check_number(decoded, "revision", static_cast<std::uint64_t>(map.revision));
    const Json& errors = decoded["errors"];
    expect_equal("number of errors", map.errors.size(), errors.size());
    for (const auto& [code, entry] : errors.members) {
        const auto* found = map.find(static_cast<Status>(std::stoul(code, nullptr, 16)));
        if (found == nullptr) throw FieldError("no error " + code + " in the bytes");
        check_text(entry, "name", found->name);
        check_text(entry, "desc", found->description);
        ErrorAttribute attributes = ErrorAttribute::none;
        if (const Json* list = entry.find("attrs"))
            for (const auto& member : list->members)
                attributes = attributes | need(error_attribute(member.second.text()), "attribute");
        expect_equal("attrs", found->attributes, attributes);
    }
}

void check_manifest(const Json& decoded, const Frame& frame) {
    const auto decoded_manifest = decode_manifest(frame.value);
    const CollectionsManifest manifest = need(decoded_manifest, "manifest");
    check_text(decoded, "uid", json_hex(manifest.uid));
    const auto same_uid = [](std::uint32_t actual, const Json& field) {
        expect_equal("uid", actual, std::stoul(field.text(), nullptr, 16));
    };
    const auto& scopes = decoded["scopes"].members;
    expect_equal("number of scopes", manifest.scopes.size(), scopes.size());
    for (std::size_t s = 0; s < scopes.size(); ++s) {
        const Json& scope = scopes[s].second;
        check_text(scope, "name", manifest.scopes[s].name);
        same_uid(manifest.scopes[s].uid, scope["uid"]);
        const auto& collections = scope["collections"].members;
        expect_equal("number of collections", manifest.scopes[s].collections.size(), collections.size());
        for (std::size_t c = 0; c < collections.size(); ++c) {
            const Json& field = collections[c].second;
            const CollectionsManifest::Collection& actual = manifest.scopes[s].collections[c];
            check_text(field, "name", actual.name);
            same_uid(actual.uid, field["uid"]);
            if (const Json* ttl = field.find("maxTTL"))
                expect_equal("maxTTL", need(actual.max_ttl, "maxTTL"), static_cast<std::int64_t>(ttl->number()));
            if (const Json* history = field.find("history"))
                expect_equal("history", need(actual.history, "history"), history->flag());
        }
    }
}

void check_observe_seqno(const Json& decoded, const Frame& frame) {
    const auto decoded_response = decode_observe_seqno(frame);
    const ObserveSeqnoResponse response = need(decoded_response, "observe_seqno");
    check_number(decoded, "format", response.failover ? 1 : 0);
    check_number(decoded, "vbucket", response.vbucket);
    check_number(decoded, "vbucket_uuid", response.vbucket_uuid);
    check_number(decoded, "last_persisted_seqno", response.last_persisted_seqno);
    check_number(decoded, "current_seqno", response.current_seqno);
    if (!response.failover) return;
    check_number(decoded, "old_vbucket_uuid", response.failover->old_vbucket_uuid);
    check_number(decoded, "last_received_seqno", response.failover->last_received_seqno);
}

void check_hello(const Json& decoded, const Frame& frame) {
    const auto decoded_features = decode_hello(frame);
    const FeatureSet granted = need(decoded_features, "features");
    const auto& list = decoded["features"].members;
    std::size_t known = 0;
    for (const auto& member : list) {
        const std::string& text = member.second.text();
        const auto feature = static_cast<Feature>(std::stoul(text, nullptr, 16));
        if (name(feature) == "UNKNOWN") continue;
        ++known;
        if (!granted.contains(feature)) throw FieldError("feature " + text + " is not granted");
        if (const std::size_t space = text.find(' '); space != std::string::npos)
            expect_equal("feature's name", name(feature), text.substr(space + 1));
    }
    expect_equal("number of features", granted.size(), known);
    expect_equal("number of codes", frame.value.size() / 2, list.size());
}

void check_range_scan(const Json* extras, const Json* decoded, const Frame& frame) {
    const RangeScanReader reader(frame);
    if (extras != nullptr) check_number(*extras, "content", reader.documents() ? 1 : 0);
    const auto item = [](const Json& field, const RangeScanItem& actual) {
        if (field.is_leaf()) {
            expect_equal("key", actual.key, field.text());
            return;
        }
        check_text(field, "key", actual.key);
        check_number(field, "flags", actual.flags);
        check_number(field, "expiry", actual.expiry);
        check_number(field, "seqno", actual.seqno);
        check_number(field, "cas", actual.cas);
        check_number(field, "datatype", actual.datatype);
        check_text(field, "value", actual.value);
    };
    if (decoded == nullptr) return;
    for (const char* list : {"keys", "docs"})
        if (const Json* found = decoded->find(list)) check_list(*found, reader, item);
}

void check_multi(const Json& decoded, const Frame& frame) {
    if (!carries_subdoc_results(frame.status())) throw FieldError("this status carries no results");
    if (frame.opcode == Opcode::subdoc_multi_lookup) {
        check_list(decoded["results"], MultiLookupReader(frame), [](const Json& field, const LookupResult& actual) {
            check_number(field, "status", static_cast<std::uint64_t>(actual.status));
            check_text(field, "value", actual.value);
        });
        return;
    }
    check_list(decoded["results"], MultiMutationReader(frame), [](const Json& field, const PathMutationResult& actual) {
        check_number(field, "index", actual.index);
        check_number(field, "status", static_cast<std::uint64_t>(actual.status));
        check_text(field, "value", actual.value);
    });
}

void check_observe(const Json& decoded, const Frame& frame) {
    check_list(decoded["keys"], ObserveReader(frame), [](const Json& field, const ObserveEntry& actual) {
        check_number(field, "vbucket", actual.vbucket);
        std::string_view key = actual.key;
        if (const Json* id = field.find("collection_id")) {
            const CollectionKey split = need(split_collection_key(key), "collection prefix");
            expect_equal("collection_id", split.collection, id->number());
            key = split.key;
        }
        check_text(field, "key", key);
        check_number(field, "state", static_cast<std::uint64_t>(actual.state));
        check_number(field, "cas", actual.cas);
    });
}

// Pairs, or objects with the two names.
void check_pair(const Json& field, const char* first_name, std::uint64_t first, const char* second_name,
                std::uint64_t second) {
    if (field.kind == Json::Kind::array) {
        expect_equal("length of a pair", field.size(), 2u);
        expect_equal(first_name, first, field.members[0].second.number());
        expect_equal(second_name, second, field.members[1].second.number());
        return;
    }
    check_number(field, first_name, first);
    check_number(field, second_name, second);
}

void check_success(const Json* extras, const Json* decoded, const Frame& frame) {
    switch (frame.opcode) {
        case Opcode::get:
        case Opcode::getq:
        case Opcode::getk:
        case Opcode::getkq:
        case Opcode::gat:
        case Opcode::gatq:
        case Opcode::gatk:
        case Opcode::gatkq:
        case Opcode::get_locked:
        case Opcode::get_replica:
        case Opcode::get_ex:
        case Opcode::get_ex_replica:
        case Opcode::get_random_key:
            check_value_response(extras, decoded, frame);
            return;
        case Opcode::set:
        case Opcode::setq:
        case Opcode::add:
        case Opcode::addq:
        case Opcode::replace:
        case Opcode::replaceq:
        case Opcode::remove:
        case Opcode::removeq:
        case Opcode::append:
        case Opcode::appendq:
        case Opcode::prepend:
        case Opcode::prependq:
        case Opcode::touch:
            check_mutation(extras, frame);
            return;
        case Opcode::increment:
        case Opcode::incrementq:
        case Opcode::decrement:
        case Opcode::decrementq:
            check_mutation(extras, frame);
            if (decoded != nullptr) check_number(*decoded, "value", need(decode_counter(frame), "counter").value);
            return;
        case Opcode::noop:
        case Opcode::flush:
        case Opcode::select_bucket:
        case Opcode::unlock_key:
        case Opcode::verbosity:
            if (!decode_empty(frame)) throw FieldError("a body where none is expected");
            return;
        case Opcode::get_meta: {
            const GetMetaResponse meta = need(decode_get_meta(frame), "get_meta");
            if (extras == nullptr) return;
            check_number(*extras, "deleted", meta.deleted ? 1 : 0);
            check_number(*extras, "flags", meta.flags);
            check_number(*extras, "expiry", meta.expiry);
            check_number(*extras, "seqno", meta.seqno);
            if (meta.datatype) check_number(*extras, "datatype", *meta.datatype);
            return;
        }
        case Opcode::stat: {
            const StatEntry entry = decode_stat(frame);
            expect_equal("terminator", entry.last, frame.key.empty() && frame.value.empty());
            return;
        }
        case Opcode::collections_get_id:
        case Opcode::collections_get_scope_id: {
            const CollectionIdResponse response = need(decode_collection_id(frame), "collection id");
            if (extras == nullptr) return;
            check_number(*extras, "manifest_uid", response.manifest_uid);
            check_number(*extras, "collection_id", response.id);
            check_number(*extras, "scope_id", response.id);
            return;
        }
        default:
            break;
    }
    if (is_subdoc_single(frame.opcode)) {
        check_mutation(extras, frame);
        return;
    }
    if (frame.opcode == Opcode::subdoc_multi_mutation) check_mutation(extras, frame);
    if (frame.opcode == Opcode::range_scan_continue) check_range_scan(extras, decoded, frame);
    if (decoded == nullptr) return;
    switch (frame.opcode) {
        case Opcode::hello:
            check_hello(*decoded, frame);
            break;
        case Opcode::get_error_map:
            check_error_map(*decoded, frame);
            break;
        case Opcode::get_cluster_config:
            check_json(*decoded, frame.value);
            break;
        case Opcode::collections_get_manifest:
            check_manifest(*decoded, frame);
            break;
        case Opcode::observe:
            check_observe(*decoded, frame);
            break;
        case Opcode::observe_seqno:
            check_observe_seqno(*decoded, frame);
            break;
        case Opcode::get_all_vb_seqnos:
            check_list((*decoded)["vbuckets"], VbSeqnosReader(frame), [](const Json& field, const VbSeqno& actual) {
                check_pair(field, "vbucket", actual.vbucket, "seqno", actual.seqno);
            });
            break;
        case Opcode::get_failover_log:
            if (const Json* entries = decoded->find("entries"))
                check_list(*entries, FailoverLogReader(frame), [](const Json& field, const FailoverLogEntry& actual) {
                    check_pair(field, "vbucket_uuid", actual.vbucket_uuid, "seqno", actual.seqno);
                });
            break;
        case Opcode::range_scan_create:
            check_bytes(*decoded, "scan_id", need(decode_range_scan_create(frame), "scan id"));
            break;
        case Opcode::subdoc_multi_lookup:
        case Opcode::subdoc_multi_mutation:
            check_multi(*decoded, frame);
            break;
        default:
            break;
    }
}

}  // namespace

void check_response(const Json& fields, const Frame& frame) {
    const Json* extras = fields.find("extras");
    const Json* value = fields.find("value");
    const Json* decoded = value == nullptr ? nullptr : value->find("decoded");
    if (carries_payload(frame.status())) {
        check_success(extras, decoded, frame);
        return;
    }
    if (decoded == nullptr) return;
    if (frame.status() == Status::not_my_vbucket) {
        check_json(*decoded, frame.value);
        return;
    }
    const ErrorContext context = decode_error_context(frame);
    if (const Json* error = decoded->find("error")) {
        check_text(*error, "context", context.context);
        check_text(*error, "ref", context.reference);
    }
    if (const Json* uid = decoded->find("manifest_uid"))
        expect_equal("manifest_uid", need(context.manifest_uid, "manifest_uid"), std::stoull(uid->text(), nullptr, 16));
}

void check_server_request(const Json& fields, const Frame& frame) {
    if (frame.server_opcode() != ServerOpcode::clustermap_change_notification) return;
    const ConfigPush push = need(decode_config_push(frame), "push");
    if (const Json* extras = fields.find("extras")) {
        check_number(*extras, "rev_epoch", static_cast<std::uint64_t>(push.revision.epoch));
        check_number(*extras, "rev", static_cast<std::uint64_t>(push.revision.revision));
    }
    if (const Json* key = fields.find("key")) check_text(*key, "text", push.bucket);
    if (const Json* value = fields.find("value"))
        if (const Json* decoded = value->find("decoded")) check_json(*decoded, push.config);
}

}  // namespace chaise::testing
