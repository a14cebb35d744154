#include <map>
#include <optional>

#include "protocol/base64.hpp"
#include "protocol/json_text.hpp"
#include "protocol/requests.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/sasl.hpp"
#include "protocol/snappy.hpp"
#include "vector.hpp"

namespace chaise::testing {

using namespace protocol;

namespace {

// Everything a request refers to lives here until it is encoded.
class Builder {
public:
    Builder(const Json& fields, std::vector<std::string>& unnamed) : fields_(fields), unnamed_(unnamed) {}

    std::string build() {
        opcode_ = static_cast<Opcode>(fields_["opcode"].u8());
        read_context();
        if (carries_collection(opcode_) && key().empty()) throw FieldError("no key");  // the encoders expect one
        switch (opcode_) {
            case Opcode::get:
            case Opcode::getq:
            case Opcode::getk:
            case Opcode::getkq:
            case Opcode::get_replica:
            case Opcode::get_ex:
            case Opcode::get_ex_replica:
            case Opcode::evict_key:
                return encoded(GetRequest{context_, key(), opcode_});
            case Opcode::set:
            case Opcode::setq:
            case Opcode::add:
            case Opcode::addq:
            case Opcode::replace:
            case Opcode::replaceq:
                return encoded(StoreRequest{context_, opcode_, key(), value(), extra("flags").u32(), expiry()});
            case Opcode::append:
            case Opcode::appendq:
            case Opcode::prepend:
            case Opcode::prependq:
                return encoded(ConcatRequest{context_, opcode_, key(), value()});
            case Opcode::remove:
            case Opcode::removeq:
                return encoded(RemoveRequest{context_, key(), opcode_});
            case Opcode::increment:
            case Opcode::incrementq:
            case Opcode::decrement:
            case Opcode::decrementq:
                return encoded(CounterRequest{context_, opcode_, key(), extra("delta").number(),
                                              extra("initial").number(), expiry()});
            case Opcode::touch:
                return encoded(TouchRequest{context_, key(), expiry()});
            case Opcode::gat:
            case Opcode::gatq:
            case Opcode::gatk:
            case Opcode::gatkq:
                return encoded(GetAndTouchRequest{context_, key(), expiry(), opcode_});
            case Opcode::get_locked:
                return encoded(GetLockedRequest{context_, key(), optional_u32("expiration")});
            case Opcode::unlock_key:
                return encoded(UnlockRequest{context_, key()});
            case Opcode::get_meta: {
                GetMetaRequest request{context_, key(), {}};
                if (const Json* version = find_extra("version")) request.version = version->u8();
                return encoded(request);
            }
            case Opcode::get_random_key: {
                GetRandomKeyRequest request{context_, {}};
                request.context.collection = optional_u32("collection_id");
                if (const Json* xattrs = find_extra("include_xattrs"))
                    request.include_xattrs =
                        xattrs->kind == Json::Kind::boolean ? xattrs->flag() : xattrs->number(1) != 0;
                return encoded(request);
            }
            case Opcode::noop:
                return encoded(NoopRequest{context_});
            case Opcode::version:
                return encoded(VersionRequest{context_});
            case Opcode::quit:
            case Opcode::quitq:
                return encoded(QuitRequest{context_, opcode_});
            case Opcode::sasl_list_mechs:
                return encoded(SaslListMechsRequest{context_});
            case Opcode::list_buckets:
                return encoded(ListBucketsRequest{context_});
            case Opcode::collections_get_manifest:
                return encoded(GetManifestRequest{context_});
            case Opcode::flush:
            case Opcode::flushq:
                return encoded(FlushRequest{context_, optional_u32("expiration"), opcode_});
            case Opcode::verbosity:
                return encoded(VerbosityRequest{context_, extra("level").u32()});
            case Opcode::stat:
                return encoded(StatRequest{context_, key(), value()});
            case Opcode::sasl_auth: {
                const std::string data = sasl_data();
                return encoded(SaslAuthRequest{context_, key(), data});
            }
            case Opcode::sasl_step:
                return encoded(SaslStepRequest{context_, key(), value()});
            case Opcode::hello: {
                const std::vector<Feature> wanted = features();
                return encoded(HelloRequest{context_, key(), wanted});
            }
            case Opcode::select_bucket:
                return encoded(SelectBucketRequest{context_, key()});
            case Opcode::get_error_map:
                return encoded(GetErrorMapRequest{context_, decoded("version").u16()});
            case Opcode::get_cluster_config: {
                GetClusterConfigRequest request{context_, {}};
                if (find_extra("rev") != nullptr)
                    request.known = ConfigRevision{static_cast<std::int64_t>(extra("rev_epoch").number()),
                                                   static_cast<std::int64_t>(extra("rev").number())};
                return encoded(request);
            }
            case Opcode::collections_get_id:
                return encoded(GetCollectionIdRequest{context_, value()});
            case Opcode::collections_get_scope_id:
                return encoded(GetScopeIdRequest{context_, value()});
            case Opcode::observe:
                return observe();
            case Opcode::observe_seqno:
                return encoded(ObserveSeqnoRequest{context_, decoded("vbucket_uuid").number()});
            case Opcode::seqno_persistence:
                return encoded(SeqnoPersistenceRequest{context_, extra("seqno").number()});
            case Opcode::get_failover_log:
                return encoded(GetFailoverLogRequest{context_});
            case Opcode::get_all_vb_seqnos: {
                GetAllVbSeqnosRequest request{context_, {}, optional_u32("collection_id")};
                if (const auto state = optional_u32("state")) request.state = static_cast<VbucketState>(*state);
                return encoded(request);
            }
            case Opcode::range_scan_create:
                return range_scan_create();
            case Opcode::range_scan_continue:
                return encoded(RangeScanContinueRequest{context_, scan_id(), extra("item_limit").u32(),
                                                        extra("time_limit_ms").u32(), extra("byte_limit").u32()});
            case Opcode::range_scan_cancel:
                return encoded(RangeScanCancelRequest{context_, scan_id()});
            case Opcode::subdoc_multi_lookup:
                return multi_lookup();
            case Opcode::subdoc_multi_mutation:
                return multi_mutation();
            default:
                break;
        }
        if (is_subdoc_single(opcode_)) return subdoc_single();
        throw FieldError("no typed encoder for this opcode");
    }

private:
    void read_context() {
        context_.opaque = fields_["opaque"].u32();
        context_.vbucket = fields_["vbucket"].u16();
        context_.datatype = fields_["datatype"].u8();
        context_.cas = fields_["cas"].number();
        const auto magic = static_cast<Magic>(fields_["magic"].u8());
        if (magic != Magic::client_request && magic != Magic::alt_client_request)
            throw FieldError("no request's magic");
        context_.flexible = magic == Magic::alt_client_request;
        if (const Json* infos = fields_.find("frame_infos")) {
            infos->read = true;
            for (const auto& entry : infos->members) frame_infos_.push_back(frame_info(entry.second));
        }
        if (!context_.flexible && !frame_infos_.empty()) throw FieldError("frame infos in a classic frame");
        context_.frame_infos = frame_infos_;
        if (const Json* key = fields_.find("key"))
            if (const Json* id = key->find("collection_id")) context_.collection = id->u32();
    }

    static RequestFrameInfo frame_info(const Json& info) {
        const std::string& name = info["name"].text();
        if (name == "barrier") return RequestFrameInfo::barrier();
        if (name == "preserve_ttl") return RequestFrameInfo::preserve_ttl();
        if (name == "durability") {
            std::optional<std::uint16_t> timeout;
            if (const Json* ms = info.find("timeout_ms")) timeout = ms->u16();
            return RequestFrameInfo::durability(static_cast<DurabilityLevel>(info["level"].u8()), timeout);
        }
        if (name == "impersonate") return RequestFrameInfo::impersonate(info["user"].text());
        if (name == "impersonate_extra_privilege")
            return RequestFrameInfo::impersonate_extra_privilege(info["privilege"].text());
        if (name == "impersonate_with_token") return RequestFrameInfo::impersonate_with_token(info["token"].u16());
        if (name == "dcp_stream_id") return RequestFrameInfo::dcp_stream_id(info["stream_id"].u16());
        throw FieldError("no typed frame info: " + name);
    }

    [[nodiscard]] const Json* find_extra(std::string_view name) const {
        const Json* extras = fields_.find("extras");
        return extras == nullptr ? nullptr : extras->find(name);
    }
    [[nodiscard]] const Json& extra(std::string_view name) const { return fields_["extras"][name]; }
    [[nodiscard]] std::uint32_t expiry() const { return extra("expiration").u32(); }
    [[nodiscard]] std::optional<std::uint32_t> optional_u32(std::string_view name) const {
        const Json* field = find_extra(name);
        return field == nullptr ? std::nullopt : std::optional(field->u32());
    }
    [[nodiscard]] std::optional<std::uint8_t> optional_u8(std::string_view name) const {
        const Json* field = find_extra(name);
        return field == nullptr ? std::nullopt : std::optional(field->u8());
    }
    [[nodiscard]] const Json& decoded(std::string_view name) const { return fields_["value"]["decoded"][name]; }

    // What the file names by its hex only.
    std::string_view unnamed(const char* what, const Json& part) {
        if (part["length"].number() == 0) return {};
        unnamed_.emplace_back(what);
        return kept_.emplace(kept_.size(), part["hex"].bytes()).first->second;
    }

    std::string_view key() {
        const Json* key = fields_.find("key");
        if (key == nullptr) return {};
        if (const Json* logical = key->find("logical_key")) return logical->text();
        if (const Json* text = key->find("text")) return text->text();
        return unnamed("key", *key);
    }

    std::string_view value() {
        const Json* value = fields_.find("value");
        if (value == nullptr) return {};
        if (const Json* fields = value->find("decoded"))
            if (const Json* inflated = fields->find("inflated"))
                return kept_.emplace(kept_.size(), snappy_deflate(inflated->text())).first->second;
        if (const Json* text = value->find("text")) return text->text();
        return unnamed("value", *value);
    }

    std::string sasl_data() {
        const Json* value = fields_.find("value");
        if (value == nullptr) return {};
        if (const Json* fields = value->find("decoded"))
            return plain_message((*fields)["authzid"].text(), (*fields)["authcid"].text(),
                                 (*fields)["password"].text());
        if (!value->has("text") && key() == "OAUTHBEARER") {
            // The file has no name for the token: it is taken out of the message and put into one of our making.
            const std::string message = (*value)["hex"].bytes();
            const auto credentials = parse_oauthbearer_message(message);
            if (!credentials) throw FieldError("no OAUTHBEARER message");
            return oauthbearer_message(credentials->user, credentials->token);
        }
        return std::string(this->value());
    }

    std::vector<Feature> features() {
        std::vector<Feature> wanted;
        if (!fields_.has("value")) return wanted;
        for (const auto& member : decoded("features").members) {
            const std::string& text = member.second.text();  // "0x0003 TCP_NODELAY"
            const std::size_t space = text.find(' ');
            std::uint64_t code = 0;
            if (!text.starts_with("0x") || !parse_hex(text.substr(2, space - 2), code)) throw FieldError("no feature");
            wanted.push_back(static_cast<Feature>(code));
            if (space != std::string::npos && protocol::name(wanted.back()) != text.substr(space + 1))
                throw FieldError("feature of another name");
        }
        return wanted;
    }

    std::string observe() {
        std::vector<ObserveKey> keys;
        for (const auto& member : decoded("keys").members) {
            const Json& entry = member.second;
            ObserveKey key{entry["vbucket"].u16(), entry["key"].text(), {}};
            if (const Json* id = entry.find("collection_id")) key.collection = id->u32();
            keys.push_back(key);
        }
        return encoded(ObserveRequest{context_, keys});
    }

    RangeScanId scan_id() {
        const std::string bytes = extra("scan_id").bytes();
        RangeScanId id;
        if (bytes.size() != id.size()) throw FieldError("scan id of another length");
        std::copy(bytes.begin(), bytes.end(), id.begin());
        return id;
    }

    std::string_view unbase64(const Json& field) {
        auto bytes = base64_decode(field.text());
        if (!bytes) throw FieldError("no base64");
        return kept_.emplace(kept_.size(), std::move(*bytes)).first->second;
    }

    RangeScanBound bound(const Json& range, const std::string& which) {
        if (const Json* exclusive = range.find("excl_" + which)) return {unbase64(*exclusive), true};
        return {unbase64(range[which]), false};
    }

    std::string range_scan_create() {
        const Json& json = fields_["value"]["decoded"];
        RangeScanCreateRequest request;
        request.context = context_;
        std::uint64_t number = 0;
        if (const Json* collection = json.find("collection")) {
            if (!parse_hex(collection->text(), number)) throw FieldError("no collection id");
            request.collection = static_cast<std::uint32_t>(number);
        }
        if (const Json* range = json.find("range")) request.range = {bound(*range, "start"), bound(*range, "end")};
        if (const Json* sampling = json.find("sampling")) {
            request.sampling = RangeScanSampling{(*sampling)["samples"].number(), {}};
            if (const Json* seed = sampling->find("seed")) request.sampling->seed = seed->number();
        }
        if (const Json* key_only = json.find("key_only")) request.key_only = key_only->flag();
        if (const Json* xattrs = json.find("include_xattrs")) request.include_xattrs = xattrs->flag();
        if (const Json* snapshot = json.find("snapshot_requirements")) {
            RangeScanSnapshot& to = request.snapshot.emplace();
            to.vbucket_uuid = std::stoull((*snapshot)["vb_uuid"].text());
            to.seqno = (*snapshot)["seqno"].number();
            if (const Json* exists = snapshot->find("seqno_exists")) to.seqno_exists = exists->flag();
            if (const Json* timeout = snapshot->find("timeout_ms")) to.timeout_ms = timeout->u32();
        }
        if (const Json* name = json.find("name")) request.name = name->text();
        return encoded(request);
    }

    std::string subdoc_single() {
        const std::string_view path = decoded("path").text();
        std::string_view payload;
        if (const Json* field = fields_["value"]["decoded"].find("payload")) payload = field->text();
        if (is_subdoc_lookup(opcode_))
            return encoded(SubdocLookupRequest{context_, opcode_, key(), path, extra("path_flags").u8(),
                                               optional_u8("doc_flags")});
        return encoded(SubdocMutationRequest{context_, opcode_, key(), path, payload, extra("path_flags").u8(),
                                             optional_u8("doc_flags"), optional_u32("expiration"),
                                             optional_u32("user_flags")});
    }

    std::string multi_lookup() {
        std::vector<LookupSpec> specs;
        for (const auto& member : decoded("specs").members) {
            const Json& spec = member.second;
            specs.push_back({static_cast<Opcode>(spec["opcode"].u8()), spec["flags"].u8(), spec["path"].text()});
        }
        return encoded(MultiLookupRequest{context_, key(), specs, optional_u8("doc_flags")});
    }

    std::string multi_mutation() {
        std::vector<MutationSpec> specs;
        for (const auto& member : decoded("specs").members) {
            const Json& spec = member.second;
            specs.push_back({static_cast<Opcode>(spec["opcode"].u8()), spec["flags"].u8(), spec["path"].text(),
                             spec["value"].text()});
        }
        return encoded(MultiMutationRequest{context_, key(), specs, optional_u8("doc_flags"),
                                            optional_u32("expiration"), optional_u32("user_flags")});
    }

    const Json& fields_;
    std::vector<std::string>& unnamed_;
    Opcode opcode_ = Opcode::noop;
    RequestContext context_;
    std::vector<RequestFrameInfo> frame_infos_;
    std::map<std::size_t, std::string> kept_;  // nodes stay where they are
};

}  // namespace

std::string build_request(const Json& fields, std::vector<std::string>& unnamed) {
    return Builder(fields, unnamed).build();
}

}  // namespace chaise::testing
