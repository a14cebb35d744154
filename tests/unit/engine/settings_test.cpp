// Connection strings and settings: what is right is read whole, what is wrong is named.

#include "bucket/settings.hpp"

#include <chaise/error.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using detail::Settings;
using namespace std::chrono_literals;

namespace {

template <class E>
std::string refused(const std::function<void()>& make) {
    try {
        make();
    } catch (const E& error) {
        return error.what();
    } catch (const std::exception& error) {
        FAIL("another exception: " << error.what());
    }
    FAIL("not refused");
    return {};
}
template <class E>
std::string refused_string(std::string_view text) {
    return refused<E>([&] { static_cast<void>(ConnectionString::parse(text)); });
}
template <class E>
std::string refused_settings(std::string_view text, const BucketOptions& options = {}) {
    return refused<E>([&] { static_cast<void>(Settings::make(text, options)); });
}

}  // namespace

TEST_CASE("a connection string is read whole", "[settings]") {
    const auto full = ConnectionString::parse(
        "couchbases://db1.example.com,10.1.2.3:11299;[fd00::1]:11300,[::1]/"
        "my%20bucket?ssl=no_verify&network=ex%2Fternal");
    CHECK(full.scheme == Scheme::couchbases);
    CHECK(full.hosts ==
          std::vector<HostSpec>{{"db1.example.com", {}}, {"10.1.2.3", 11299}, {"fd00::1", 11300}, {"::1", {}}});
    CHECK(full.bucket == "my bucket");
    CHECK(full.options.at("ssl") == "no_verify");
    CHECK(full.options.at("network") == "ex/ternal");
    CHECK(full.options.size() == 2);
    CHECK(full.default_port() == 11207);

    CHECK(ConnectionString::parse("memcached://h").scheme == Scheme::memcached);
    CHECK(ConnectionString::parse("memcached://h").default_port() == 11211);
    CHECK(ConnectionString::parse("couchbase://h").default_port() == 11210);
    CHECK(ConnectionString::parse("h").scheme == Scheme::couchbase);
    CHECK(ConnectionString::parse("h:1").hosts == std::vector<HostSpec>{{"h", 1}});
    CHECK(ConnectionString::parse("couchbase://h/").bucket.empty());
    CHECK(ConnectionString::parse("couchbase://h/?quiet=true").options.at("quiet") == "true");
    CHECK(ConnectionString::parse("couchbase://h?quiet=true").options.at("quiet") == "true");
    CHECK(ConnectionString::parse("couchbase://h/b?").options.empty());
    CHECK(ConnectionString::parse("couchbase://h/a/b").bucket == "a/b");
    CHECK(ConnectionString::parse("couchbase://h:65535").hosts[0].port == 65535);
}

TEST_CASE("a malformed connection string is refused by what is wrong with it", "[settings]") {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "no host"},
        {"memcached://", "no host"},
        {"memcached:///bucket", "no host"},
        {"redis://h", "redis"},
        {"://h", "unknown scheme \"\""},
        {"memcached://h,", "host is empty"},
        {"memcached://,h", "host is empty"},
        {"memcached://:11211", "host is empty"},
        {"memcached://h:", "\"\" is not a port"},
        {"memcached://h:0", "\"0\" is not a port"},
        {"memcached://h:65536", "65536"},
        {"memcached://h:-1", "-1"},
        {"memcached://h:11211x", "11211x"},
        {"memcached://h:abc", "abc"},
        {"memcached://::1", "brackets"},
        {"memcached://[::1", "\"[\" without \"]\""},
        {"memcached://[]:1", "host is empty"},
        {"memcached://[::1]x", "\"x\""},
        {"memcached://a b", "a b"},
        {"memcached://user@h", "credentials"},
        {"memcached://user:secret@h", "credentials"},
        {"memcached://h?quiet", "\"quiet\" has no value"},
        {"memcached://h?quiet=", "\"quiet\" has no value"},
        {"memcached://h?=1", "unknown option \"\""},
        {"memcached://h?quiet=true&&quiet=true", "\"\" has no value"},
        {"couchbase://h/%2", "%"},
        {"couchbase://h/%zz", "%"},
        {"couchbase://h/a%", "%"},
        {"couchbase://h/b?network=%4", "%"},
    };
    for (const auto& [text, what] : wrong) {
        INFO(text);
        CHECK_THAT(refused_string<InputError>(text), Catch::Contains(what));
    }
    // A password that was put into it by mistake does not end up in a log.
    CHECK_THAT(refused_string<InvalidError>("memcached://user:secret@h"), !Catch::Contains("secret"));
}

TEST_CASE("an option that is given twice is refused: one of them would be ignored", "[settings]") {
    CHECK_THAT(refused_string<InputError>("memcached://h?quiet=true&quiet=false"), Catch::Contains("quiet"));
}

TEST_CASE("an unknown option is refused by name, a known one that is not built as unsupported, by name", "[settings]") {
    CHECK_THAT(refused_settings<ArgumentError>("memcached://h?operation_timout=1"),
               Catch::Contains("operation_timout") && Catch::Contains("unknown"));
    for (const char* option :
         {"durability_timeout=1", "truststorepath=/x", "ipv6=only", "log_redaction=on", "n1ql_timeout=75",
          "config_cache=/x", "tcp_nodelay=1", "fetch_mutation_tokens=true", "retry_interval=1"}) {
        const std::string text = std::string("memcached://h?") + option;
        const std::string name = std::string(option).substr(0, std::string(option).find('='));
        CHECK_THAT(refused_settings<NotSupportedError>(text), Catch::Contains(name));
        try {
            static_cast<void>(Settings::make(text, {}));
        } catch (const Exception& error) {
            CHECK(error.code() == errc::unsupported_operation);
        }
    }
}

TEST_CASE("credentials have no place in a connection string, and are not repeated", "[settings]") {
    for (const std::string name : {"username", "user", "password", "pass"}) {
        const std::string why = refused_string<ArgumentError>("couchbase://h/b?" + name + "=pencil");
        CHECK_THAT(why, Catch::Contains("\"" + name + "\"") && Catch::Contains("BucketOptions"));
        CHECK_THAT(why, !Catch::Contains("pencil"));
    }
}

TEST_CASE("schemes and shapes that are not built yet say so", "[settings]") {
    CHECK_THAT(refused_settings<NotSupportedError>("couchbases://h"), Catch::Contains("couchbases://"));
    CHECK_THAT(refused_settings<ArgumentError>("memcached://a/b"), Catch::Contains("\"b\""));
    CHECK_THAT(refused_settings<ArgumentError>("memcached://a", {.bucket = "b"}), Catch::Contains("\"b\""));
    CHECK_THAT(refused_settings<ArgumentError>("memcached://a?network=external"), Catch::Contains("network"));
    for (const std::string option : {"compression=on", "compression_min_size=64", "compression_min_ratio=0.5"}) {
        CHECK_THAT(refused_settings<ArgumentError>("memcached://a?" + option),
                   Catch::Contains(option.substr(0, option.find('='))));
    }
}

TEST_CASE("what a Couchbase cluster needs to be told", "[settings]") {
    const BucketOptions me{.username = "me", .password = "secret"};
    const auto plain = Settings::make("couchbase://a,b:12000;[fd00::1]", me);
    CHECK(plain.connection.hosts.size() == 3);
    CHECK(plain.bucket == "default");
    CHECK(plain.network == "auto");
    CHECK_FALSE(plain.ordered);
    CHECK(Settings::make("h", me).connection.scheme == Scheme::couchbase);
    const BucketOptions more{
        .bucket = "beer", .username = "me", .password = "secret", .ordered = true, .network = "external"};
    const auto by_options = Settings::make("couchbase://a", more);
    CHECK(by_options.bucket == "beer");
    CHECK(by_options.ordered);
    CHECK(by_options.network == "external");
    const auto by_string = Settings::make("couchbase://a/wine?ordered=false&network=default", more);
    CHECK(by_string.bucket == "wine");
    CHECK_FALSE(by_string.ordered);
    CHECK(by_string.network == "default");

    CHECK(refused_settings<ArgumentError>("couchbase://a") ==
          "invalid argument: couchbase:// needs a username and a password (for a plain memcached say memcached://)");
    CHECK_THAT(refused_settings<ArgumentError>("couchbase://a/b%20c", me),
               Catch::Contains("\"b c\" is no name of a bucket"));
    CHECK_THAT(refused_settings<ArgumentError>("couchbase://a/" + std::string(101, 'x'), me),
               Catch::Contains("at most 100"));
    CHECK_THAT(refused_settings<ArgumentError>("couchbase://a", {.username = "me", .network = ""}),
               Catch::Contains("network"));
    CHECK_THAT(refused_settings<ArgumentError>("couchbase://a?ordered=maybe", me), Catch::Contains("ordered"));
}

TEST_CASE("compression: names and ranges", "[settings]") {
    const BucketOptions me{.username = "me", .password = "secret"};
    const auto usual = Settings::make("couchbase://a", me);
    CHECK(usual.compression == Compression::on);
    CHECK(usual.compression_min_size == 32);
    CHECK(usual.compression_min_ratio == 0.83);
    const std::vector<std::pair<std::string, Compression>> names = {{"on", Compression::on},
                                                                    {"off", Compression::off},
                                                                    {"inflate_only", Compression::inflate_only},
                                                                    {"force", Compression::force}};
    for (const auto& [name, meant] : names) {
        CHECK(Settings::make("couchbase://a?compression=" + name, me).compression == meant);
    }
    const auto told = Settings::make("couchbase://a?compression_min_size=20971520&compression_min_ratio=1", me);
    CHECK(told.compression_min_size == 20u << 20);
    CHECK(told.compression_min_ratio == 1);

    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"compression=maybe", "option compression: \"maybe\" is not on, off, inflate_only or force"},
        {"compression_min_size=31", "compression_min_size must be from 32 to 20971520"},
        {"compression_min_size=20971521", "compression_min_size must be from 32 to 20971520"},
        {"compression_min_size=-1", "option compression_min_size: \"-1\" is not a whole number"},
        {"compression_min_ratio=0", "compression_min_ratio must be more than 0 and at most 1"},
        {"compression_min_ratio=1.01", "compression_min_ratio must be more than 0 and at most 1"},
        {"compression_min_ratio=nan", "compression_min_ratio must be more than 0 and at most 1"},
        {"compression_min_ratio=half", "option compression_min_ratio: \"half\" is not a number"},
        {"compresion=on", "unknown option \"compresion\""},
    };
    for (const auto& [option, why] : wrong) {
        CHECK_THAT(refused_settings<ArgumentError>("couchbase://a?" + option, me), Catch::Contains(why));
    }
    CHECK_THAT(refused_settings<ArgumentError>("couchbase://a",
                                               {.username = "me", .password = "x", .compression_min_size = 1}),
               Catch::Contains("compression_min_size"));
}

TEST_CASE("what the connection string sets wins over the options", "[settings]") {
    const BucketOptions options{.username = "me",
                                .password = "secret",
                                .quiet = true,
                                .operation_timeout = 7s,
                                .connect_timeout = 8s,
                                .max_queue_operations = 5,
                                .max_queue_bytes = 5000};
    const auto by_options = Settings::make("memcached://h", options);
    CHECK(by_options.username == "me");
    CHECK(by_options.password == "secret");
    CHECK(by_options.quiet);
    CHECK_FALSE(by_options.allow_plain);
    CHECK_FALSE(by_options.enable_flush);
    CHECK(by_options.operation_timeout == 7s);
    CHECK(by_options.connect_timeout == 8s);
    CHECK(by_options.max_queue_operations == 5);
    CHECK(by_options.max_queue_bytes == 5000);
    const auto by_string = Settings::make(
        "memcached://h?quiet=off&allow_plain=on&enable_flush=1&operation_timeout=1.5&connect_timeout=2e-3"
        "&max_queue_operations=77&max_queue_bytes=88888",
        options);
    CHECK_FALSE(by_string.quiet);
    CHECK(by_string.allow_plain);
    CHECK(by_string.enable_flush);
    CHECK(by_string.operation_timeout == 1500ms);
    CHECK(by_string.connect_timeout == 2ms);
    CHECK(by_string.max_queue_operations == 77);
    CHECK(by_string.max_queue_bytes == 88888);
    const auto timed = Settings::make(
        "memcached://h?drain_timeout=2&silence_timeout=3&idle_interval=4&tcp_keepalive=5&tcp_user_timeout=0.5"
        "&max_bucket_operations=66&max_bucket_bytes=99999",
        options);
    CHECK(timed.drain_timeout == 2s);
    CHECK(timed.silence_timeout == 3s);
    CHECK(timed.idle_interval == 4s);
    CHECK(timed.tcp_keepalive == 5s);
    CHECK(timed.tcp_user_timeout == 500ms);
    CHECK(timed.max_bucket_operations == 66);
    CHECK(timed.max_bucket_bytes == 99999);
    const auto off = Settings::make("memcached://h?idle_interval=0&tcp_keepalive=0&tcp_user_timeout=0", options);
    CHECK((off.idle_interval == 0s && off.tcp_keepalive == 0s && off.tcp_user_timeout == 0s));
    CHECK(off.silence_timeout == 2500ms);
    CHECK(off.drain_timeout == 0s);
    const auto plain = Settings::make("memcached://h", {});
    CHECK(plain.operation_timeout == 2500ms);
    CHECK(plain.max_queue_operations == 65'536);
    CHECK(plain.max_queue_bytes == std::size_t{64} << 20);
}

TEST_CASE("values that an option cannot have are refused by name", "[settings]") {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"quiet=maybe", "quiet"},
        {"quiet=TRUE", "quiet"},
        {"operation_timeout=0", "operation_timeout"},
        {"operation_timeout=-1", "operation_timeout"},
        {"operation_timeout=1s", "operation_timeout"},
        {"operation_timeout=nan", "operation_timeout"},
        {"operation_timeout=inf", "operation_timeout"},
        {"operation_timeout=1e300", "operation_timeout"},
        {"connect_timeout=x", "connect_timeout"},
        {"max_queue_operations=-1", "max_queue_operations"},
        {"max_queue_operations=1.5", "max_queue_operations"},
        {"max_queue_operations=0", "max_queue_operations"},
        {"max_queue_operations=1000001", "max_queue_operations"},
        {"max_queue_bytes=1023", "max_queue_bytes"},
        {"max_bucket_operations=0", "max_bucket_operations"},
        {"max_bucket_operations=1000001", "max_bucket_operations"},
        {"max_bucket_bytes=65535", "max_bucket_bytes"},
        {"drain_timeout=-1", "drain_timeout"},
        {"silence_timeout=0", "silence_timeout"},
        {"idle_interval=-0.1", "idle_interval"},
        {"tcp_keepalive=0.5", "tcp_keepalive"},
        {"tcp_keepalive=32768", "tcp_keepalive"},
        {"tcp_user_timeout=86401", "tcp_user_timeout"},
        {"max_queue_bytes=99999999999999999999999", "max_queue_bytes"},
    };
    for (const auto& [option, name] : wrong) {
        INFO(option);
        CHECK_THAT(refused_settings<ArgumentError>("memcached://h?" + option), Catch::Contains(name));
    }
    CHECK_THAT(refused_settings<ArgumentError>("memcached://h", {.operation_timeout = -1ns}),
               Catch::Contains("operation_timeout"));
    CHECK_THAT(refused_settings<ArgumentError>("memcached://h", {.connect_timeout = 0ns}),
               Catch::Contains("connect_timeout"));
    CHECK_THAT(refused_settings<ArgumentError>("memcached://h", {.password = "p"}), Catch::Contains("username"));
    CHECK_THAT(refused_settings<ArgumentError>("memcached://h", {.username = std::string_view("a\0b", 3)}),
               Catch::Contains("NUL"));
}

TEST_CASE("several memcached hosts: how keys are spread over them", "[settings]") {
    const auto plain = Settings::make("memcached://a,b:11212", {});
    CHECK(plain.connection.hosts.size() == 2);
    CHECK(plain.distribution == protocol::RingScheme::ketama_weighted);
    CHECK(plain.weights.empty());
    CHECK_FALSE(plain.auto_eject);
    const auto all = Settings::make(
        "memcached://a,b,c?distribution=ketama&weights=3,1,20&auto_eject=on&server_failure_limit=7&dead_timeout=0.5",
        {});
    CHECK(all.distribution == protocol::RingScheme::ketama);
    CHECK(all.weights == std::vector<std::uint32_t>{3, 1, 20});
    CHECK(all.auto_eject);
    CHECK(all.server_failure_limit == 7);
    CHECK(all.dead_timeout == 500ms);
    const auto by_options =
        Settings::make("memcached://a,b", {.distribution = "couchbase", .auto_eject = true, .dead_timeout = 3s});
    CHECK(by_options.distribution == protocol::RingScheme::couchbase);
    CHECK(by_options.dead_timeout == 3s);

    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"memcached://a,b?distribution=modula", "modula"},
        {"memcached://a,b?weights=1", "1 weights for 2 hosts"},
        {"memcached://a,b?weights=1,2,3", "3 weights for 2 hosts"},
        {"memcached://a,b?weights=1,", "weights"},
        {"memcached://a,b?weights=,1", "weights"},
        {"memcached://a,b?weights=0,1", "\"0\""},
        {"memcached://a,b?weights=1,65536", "65536"},
        {"memcached://a,b?weights=1,-1", "-1"},
        {"memcached://a,b?weights=1,x", "\"x\""},
        {"memcached://a,b?weights=1,2&distribution=couchbase", "couchbase has none"},
        {"memcached://a,b,a:11211", "\"a\" is there twice"},
        {"memcached://a,b?auto_eject=perhaps", "perhaps"},
        {"memcached://a,b?server_failure_limit=0", "server_failure_limit"},
        {"memcached://a,b?dead_timeout=0", "dead_timeout"},
    };
    for (const auto& [text, why] : wrong) {
        CAPTURE(text);
        CHECK_THAT(refused_settings<ArgumentError>(text), Catch::Contains(why));
    }
    const BucketOptions me{.username = "me", .password = "pw"};
    for (const std::string option :
         {"distribution=ketama", "weights=1", "auto_eject=true", "server_failure_limit=2", "dead_timeout=1"}) {
        CHECK_THAT(refused_settings<ArgumentError>("couchbase://a?" + option, me), Catch::Contains("memcached://"));
    }
}
