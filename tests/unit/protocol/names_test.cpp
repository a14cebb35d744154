#include <catch2/catch.hpp>

#include <set>

#include "protocol/datatype.hpp"
#include "protocol/feature.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/magic.hpp"
#include "protocol/opcode.hpp"
#include "protocol/status.hpp"

using namespace chaise::protocol;

TEST_CASE("opcodes have their names and attributes") {
    CHECK(name(Opcode::get) == "GET");
    CHECK(name(Opcode::remove) == "DELETE");
    CHECK(name(Opcode::subdoc_remove) == "SUBDOC_DELETE");
    CHECK(name(Opcode::get_error_map) == "GET_ERROR_MAP");
    CHECK(name(static_cast<Opcode>(0xee)) == "UNKNOWN");

    CHECK(carries_collection(Opcode::get));
    CHECK(carries_collection(Opcode::subdoc_multi_mutation));
    CHECK_FALSE(carries_collection(Opcode::hello));
    CHECK_FALSE(carries_collection(Opcode::observe));  // its keys are in the value
    CHECK(accepts_durability(Opcode::remove));
    CHECK_FALSE(accepts_durability(Opcode::get));
    CHECK_FALSE(accepts_durability(Opcode::setq));
    CHECK(accepts_preserve_ttl(Opcode::set));
    CHECK_FALSE(accepts_preserve_ttl(Opcode::add));
    CHECK_FALSE(accepts_preserve_ttl(Opcode::touch));
    CHECK(reorderable(Opcode::get));
    CHECK_FALSE(reorderable(Opcode::getq));
    CHECK_FALSE(reorderable(Opcode::noop));
    CHECK(quiet(Opcode::getkq));
    CHECK_FALSE(quiet(Opcode::getk));
}

TEST_CASE("names are unique; quiet and loud forms are each other's") {
    std::set<std::string_view> names;
    for (int code = 0; code < 256; ++code) {
        const auto opcode = static_cast<Opcode>(code);
        if (name(opcode) == "UNKNOWN") continue;
        CHECK(names.insert(name(opcode)).second);
        INFO(name(opcode));
        CHECK(quiet(opcode) == (loud_form(opcode) != opcode));
        if (quiet(opcode)) {
            CHECK(quiet_form(loud_form(opcode)) == opcode);
            CHECK_FALSE(quiet(loud_form(opcode)));
        } else {
            CHECK(loud_form(quiet_form(opcode)) == opcode);
        }
        // A durable write cannot be silent, with the one exception of protocol.md 2.1.
        if (quiet(opcode) && opcode != Opcode::gatq) CHECK_FALSE(accepts_durability(opcode));
    }
    CHECK(names.size() > 120);
}

TEST_CASE("statuses have their names and attributes") {
    CHECK(name(Status::key_enoent) == "KEY_ENOENT");
    CHECK(name(Status::etmpfail) == "ETMPFAIL");
    CHECK(name(Status::subdoc_field_not_binary_value) == "SUBDOC_FIELD_NOT_BINARY_VALUE");
    CHECK(name(static_cast<Status>(0x7f)) == "UNKNOWN");
    CHECK(name(static_cast<Status>(0xff01)) == "UNKNOWN");
    CHECK(static_cast<int>(Status::rate_limited_network_egress) == 0x31);
    CHECK(static_cast<int>(Status::subdoc_xattr_unknown_vattr_macro) == 0xd5);

    CHECK(attributes(Status::locked) ==
          (ErrorAttribute::item_locked | ErrorAttribute::item_only | ErrorAttribute::retry_now));
    CHECK(attributes(Status::bucket_data_size_too_big) ==
          (ErrorAttribute::item_only | ErrorAttribute::system_constraint | ErrorAttribute::no_retry));
    CHECK(has_attribute(Status::not_my_vbucket, ErrorAttribute::fetch_config));
    CHECK(has_attribute(Status::auth_stale, ErrorAttribute::conn_state_invalidated));
    CHECK(attributes(static_cast<Status>(0xff01)) == ErrorAttribute::none);

    CHECK(error_attribute("conn-state-invalidated") == ErrorAttribute::conn_state_invalidated);
    CHECK(name(ErrorAttribute::auto_retry) == "auto-retry");
    CHECK_FALSE(error_attribute("made-up").has_value());

    CHECK(carries_payload(Status::subdoc_multi_path_failure));
    CHECK(carries_payload(Status::range_scan_more));
    CHECK_FALSE(carries_payload(Status::not_my_vbucket));
}

TEST_CASE("features, magics, frame infos and datatypes") {
    CHECK(name(Feature::collections) == "COLLECTIONS");
    CHECK(static_cast<int>(Feature::subdoc_binary_xattr) == 0x21);
    CHECK(name(static_cast<Feature>(0x99)) == "UNKNOWN");
    FeatureSet features{Feature::xerror, Feature::json};
    features.insert(static_cast<Feature>(0x99));
    features.insert(static_cast<Feature>(0x3f));
    CHECK(features.size() == 2);
    CHECK(features.contains(Feature::json));
    CHECK_FALSE(features.contains(Feature::snappy));
    CHECK_FALSE(features.contains(static_cast<Feature>(0xffff)));

    CHECK(is_known(static_cast<Magic>(0x82)));
    CHECK_FALSE(is_known(static_cast<Magic>(0x00)));
    CHECK(is_flexible(Magic::alt_client_request));
    CHECK(is_response(Magic::server_response));
    CHECK_FALSE(is_response(Magic::server_request));
    CHECK(name(ServerOpcode::clustermap_change_notification) == "CLUSTERMAP_CHANGE_NOTIFICATION");
    CHECK(name(RequestFrameInfoId::preserve_ttl) == "preserve_ttl");
    CHECK(name(static_cast<RequestFrameInfoId>(9)) == "UNKNOWN");
    CHECK(name(DurabilityLevel::persist_to_majority) == "persist_to_majority");
    CHECK(datatype_name(0) == "raw");
    CHECK(datatype_name(datatype::snappy | datatype::json) == "snappy,json");
    CHECK(datatype_name(0x90) == "0x90");
}
