#include <catch2/catch.hpp>

#include "protocol/base64.hpp"
#include "protocol/sasl.hpp"
#include "scram_examples.hpp"

using namespace chaise::protocol;
using Kind = SaslResult::Kind;

namespace {

constexpr const char* client_nonce = "0123456789abcdef";
constexpr const char* server_nonce = "fedcba9876543210";

std::string hex(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

std::string example_salt(std::size_t length) {
    std::string salt;
    for (std::size_t k = 0; k < length; ++k) salt += static_cast<char>((7 * k + 1) % 256);
    return salt;
}

ScramHash hash_of(const ScramExample& example) {
    const auto mechanism = sasl_mechanism(example.mechanism);
    return mechanism == SaslMechanism::scram_sha1     ? ScramHash::sha1
           : mechanism == SaslMechanism::scram_sha256 ? ScramHash::sha256
                                                      : ScramHash::sha512;
}

SaslServerOptions options_for(std::string user, std::string password) {
    SaslServerOptions options;
    options.password_of = [=](std::string_view name) -> std::optional<std::string> {
        return name == user ? std::optional(password) : std::nullopt;
    };
    options.nonce = server_nonce;
    options.salt = example_salt(20);
    return options;
}

struct Conversation {
    SaslResult client{};
    Status server = Status::auth_error;
    int steps = 0;
};

Conversation talk(SaslClient& client, SaslServer& server) {
    Conversation result;
    result.client = client.start();
    while (result.client.kind == Kind::send && result.steps < 10) {
        const SaslServer::Reply reply = server.step(result.client.data);
        ++result.steps;
        result.server = reply.status;
        result.client = client.step(reply.status, reply.data);
    }
    return result;
}

}  // namespace

TEST_CASE("SCRAM computes what protocol.md computes") {
    for (const ScramExample& e : scram_examples) {
        INFO(e.mechanism);
        const ScramHash hash = hash_of(e);
        const std::string salted = scram_salted_password(hash, "pencil", example_salt(digest_size(hash)), 4096);
        CHECK(hex(salted) == e.salted_password);
        const auto proof = scram_proof(hash, salted, e.auth_message);
        REQUIRE(proof.has_value());
        CHECK(hex(proof->client_key) == e.client_key);
        CHECK(hex(proof->stored_key) == e.stored_key);
        CHECK(hex(proof->server_key) == e.server_key);
        CHECK(hex(proof->client_signature) == e.client_signature);
        CHECK(hex(proof->client_proof) == e.client_proof);
        CHECK(hex(proof->server_signature) == e.server_signature);
    }
}

TEST_CASE("SCRAM client, message by message, in both spellings") {
    for (const ScramExample& e : scram_examples) {
        for (const char* name : {e.mechanism, e.standard_name}) {
            INFO(name);
            SaslClient client(name, "user", "pencil", client_nonce);
            CHECK(client.mechanism() == name);
            SaslResult result = client.start();
            REQUIRE(result.kind == Kind::send);
            CHECK(result.data == e.client_first);
            result = client.step(Status::auth_continue, e.server_first);
            REQUIRE(result.kind == Kind::send);
            CHECK(result.data == e.client_final);
            CHECK(client.step(Status::success, e.server_final).kind == Kind::done);
            CHECK(client.step(Status::success, e.server_final).kind == Kind::failed);  // over
        }
        // Cyrus: the signature as a challenge, then an empty step.
        SaslClient client(e.standard_name, "user", "pencil", client_nonce);
        (void)client.start();
        (void)client.step(Status::auth_continue, e.server_first);
        const SaslResult confirm = client.step(Status::auth_continue, e.server_final);
        REQUIRE(confirm.kind == Kind::send);
        CHECK(confirm.data.empty());
        CHECK(client.step(Status::success, "Authenticated").kind == Kind::done);
    }
}

TEST_CASE("public SCRAM vectors") {
    struct Public {
        const char *mechanism, *user, *password, *nonce, *server_first, *proof, *signature;
    };
    const Public vectors[] = {
        {"SCRAM-SHA-1", "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL",
         "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
         "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
        {"SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO",
         "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
         "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
        {"SCRAM-SHA1", "username", "password", "fyko+d2lbbFgONRv9qkxdawL",
         "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=ZP8Dc+4BGCAMitu9B7qSbjaB2fs=,i=4096",
         "BgDTjduRiG2rLn++YdlWSNmMCw8=", "UfaW46lFMmrVCgnqdU1KxQVUNso="},
    };
    for (const Public& v : vectors) {
        INFO(v.mechanism);
        SaslClient client(v.mechanism, v.user, v.password, v.nonce);
        (void)client.start();
        const SaslResult final = client.step(Status::auth_continue, v.server_first);
        CHECK(final.data.substr(final.data.find(",p=") + 3) == v.proof);
        CHECK(client.step(Status::success, std::string("v=") + v.signature).kind == Kind::done);
    }
}

TEST_CASE("a SCRAM client trusts nobody") {
    const ScramExample& e = scram_examples[0];
    const auto after_start = [] {
        SaslClient client("SCRAM-SHA1", "user", "pencil", client_nonce);
        (void)client.start();
        return client;
    };
    const std::string good = e.server_first;
    const std::string nonce = "r=0123456789abcdeffedcba9876543210";
    for (const std::string& first :
         {std::string("r=0123456789abcdef,s=AQgP,i=4096"),        // adds nothing of its own
          std::string("r=9123456789abcdefxyz,s=AQgP,i=4096"),     // another nonce
          "m=ext," + good, std::string("e=unknown-user"), nonce,  // what is missing or not known
          nonce + ",s=AQgP", nonce + ",s=A!gP,i=4096", nonce + ",s=,i=4096", nonce + ",s=AQgP,i=4095",
          nonce + ",s=AQgP,i=10000001", nonce + ",s=AQgP,i=4096x", nonce + ",s=AQgP,i=", nonce + ",s=AQgP,i=-4096",
          nonce + ",s=AQgP,i=99999999999999", std::string("s=AQgP,") + nonce + ",i=4096", std::string()}) {
        INFO(first);
        SaslClient client = after_start();
        const SaslResult result = client.step(Status::auth_continue, first);
        CHECK(result.kind == Kind::failed);
        CHECK_FALSE(result.data.empty());
        CHECK(client.step(Status::auth_continue, good).kind == Kind::failed);  // and stays so
    }
    {
        SaslClient client = after_start();
        CHECK(client.step(Status::success, good).kind == Kind::failed);  // no proof was given
    }
    for (const char* last : {"", "v=", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "e=other-error", "Authenticated",
                             "v=tVbAX8WtFbZk/PNQl0VS1Iv95Z"}) {
        INFO(last);
        for (const Status status : {Status::success, Status::auth_continue}) {
            SaslClient client = after_start();
            (void)client.step(Status::auth_continue, good);
            CHECK(client.step(status, last).kind == Kind::failed);
        }
    }
    SaslClient client = after_start();
    const SaslResult refused = client.step(Status::auth_error, "Auth failure.");
    CHECK(refused.kind == Kind::failed);
    CHECK(refused.data.find("AUTH_ERROR") != std::string::npos);
    CHECK(refused.data.find("Auth failure.") != std::string::npos);

    CHECK(SaslClient("SCRAM-SHA1", "user", "pencil", "a,b").start().kind == Kind::failed);
    CHECK(SaslClient("SCRAM-SHA1", "user", "pencil", "").start().kind == Kind::failed);
    CHECK(SaslClient("KERBEROS", "user", "pencil", "n").start().kind == Kind::failed);
    CHECK(SaslClient("PLAIN", std::string_view("u\0x", 3), "p", "").start().kind == Kind::failed);
}

TEST_CASE("user names are escaped") {
    SaslClient client("SCRAM-SHA1", "a,b=c", "pencil", client_nonce);
    CHECK(client.start().data == "n,,n=a=2Cb=3Dc,r=0123456789abcdef");
    CHECK(scram_unescape("a=2Cb=3Dc") == "a,b=c");
    for (const char* bad : {"a=", "a=2", "a=3d", "=2c", "=41"}) CHECK_FALSE(scram_unescape(bad).has_value());
}

TEST_CASE("PLAIN, OAUTHBEARER, CRAM-MD5") {
    SaslClient plain("PLAIN", "user", "pencil", "");
    CHECK(hex(plain.start().data) == "00757365720070656e63696c");
    CHECK(plain.step(Status::success, "").kind == Kind::done);
    SaslClient talkative("PLAIN", "user", "pencil", "");
    (void)talkative.start();
    CHECK(talkative.step(Status::auth_continue, "more?").kind == Kind::failed);

    SaslClient bearer("OAUTHBEARER", "", "tok", "");
    CHECK(bearer.start().data ==
          "n,,\x01"
          "auth=Bearer tok\x01\x01");
    CHECK(bearer.step(Status::auth_error, "").kind == Kind::failed);
    CHECK(oauthbearer_message("a,b", "t") ==
          "n,a=a=2Cb,\x01"
          "auth=Bearer t\x01\x01");
    for (const char* user : {"", "joe", "a,b"}) {
        const std::string message = oauthbearer_message(user, "token");
        const auto parsed = parse_oauthbearer_message(message);
        REQUIRE(parsed.has_value());
        CHECK((parsed->user == user && parsed->token == "token"));
        for (std::size_t cut = 0; cut < message.size(); ++cut)
            CHECK_FALSE(parse_oauthbearer_message(message.substr(0, cut)).has_value());
    }

    // RFC 2195.
    SaslClient cram("CRAM-MD5", "tim", "tanstaaftanstaaf", "");
    CHECK(cram.start().data.empty());
    const SaslResult answer = cram.step(Status::auth_continue, "<1896.697170952@postoffice.reston.mci.net>");
    CHECK(answer.data == "tim b913a602c7eda7a495b4e6e7334d3890");
    CHECK(cram.step(Status::success, "").kind == Kind::done);
    SaslClient eager("CRAM-MD5", "tim", "t", "");
    (void)eager.start();
    CHECK(eager.step(Status::success, "").kind == Kind::failed);
}

TEST_CASE("client and server agree, or not, in every mechanism") {
    for (const char* mechanism : {"PLAIN", "CRAM-MD5", "SCRAM-SHA1", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA256",
                                  "SCRAM-SHA512", "SCRAM-SHA-512", "OAUTHBEARER"}) {
        for (const bool cyrus : {false, true}) {
            INFO(mechanism << (cyrus ? " as Cyrus does it" : ""));
            SaslServerOptions options = options_for("us,er=", "pencil");
            options.cyrus = cyrus;
            {
                SaslClient client(mechanism, "us,er=", "pencil", client_nonce);
                SaslServer server(mechanism, options);
                const Conversation result = talk(client, server);
                CHECK(result.client.kind == Kind::done);
                CHECK(result.server == Status::success);
                CHECK(server.user() == "us,er=");
                CHECK(server.step("again").status == Status::auth_error);
            }
            for (const auto& [user, password] : {std::pair{"us,er=", "pencil2"}, {"us,er=", ""}, {"other", "pencil"}}) {
                SaslClient client(mechanism, user, password, client_nonce);
                SaslServer server(mechanism, options);
                const Conversation result = talk(client, server);
                CHECK(result.client.kind == Kind::failed);
                CHECK(result.server == Status::auth_error);
            }
        }
    }
}

TEST_CASE("the server's half is strict") {
    const SaslServerOptions options = options_for("user", "pencil");
    // What Couchbase's C++ client sends.
    CHECK(SaslServer("SCRAM-SHA512", options).step("n,,n=user,r=0x24 0xffffffc2 0x6d").status == Status::auth_continue);
    for (const char* first : {"", "n,,n=user,r=a\tb", "p=tls-unique,,n=user,r=abc", "n,,n=user", "n,,r=abc,n=user",
                              "n,,n=us=er,r=abc", "n,,n=user,r=", "n,n=user,r=abc"}) {
        INFO(first);
        SaslServer server("SCRAM-SHA1", options);
        CHECK(server.step(first).status == Status::auth_error);
    }
    SaslClient client("SCRAM-SHA1", "user", "pencil", client_nonce);
    const std::string first = client.start().data;
    const std::string final = [&] {
        SaslServer server("SCRAM-SHA1", options);
        return client.step(Status::auth_continue, server.step(first).data).data;
    }();
    const auto answer = [&](const std::string& text) {
        SaslServer server("SCRAM-SHA1", options);
        (void)server.step(first);
        return server.step(text).status;
    };
    CHECK(answer(final) == Status::success);
    CHECK(answer("c=eSws" + final.substr(6)) == Status::auth_error);  // "y,,", which was not said
    for (std::size_t i = 0; i < final.size(); ++i) {
        std::string other = final;
        other[i] = other[i] == 'A' ? 'B' : 'A';
        CHECK(answer(other) == Status::auth_error);
    }
    CHECK(answer("") == Status::auth_error);
    CHECK(parse_plain_message(plain_message("z", "u", "p"))->authzid == "z");
    CHECK_FALSE(parse_plain_message("user").has_value());
    CHECK_FALSE(parse_plain_message(std::string_view("\0u", 2)).has_value());
    CHECK_FALSE(parse_plain_message(std::string_view("\0u\0p\0", 5)).has_value());
}

TEST_CASE("the best mechanism that the policy allows") {
    const SaslPolicy careful;
    const SaslPolicy lax{.allow_plain = true, .tls = false};
    const SaslPolicy tls{.allow_plain = false, .tls = true};
    CHECK(choose_mechanism("SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN", careful) == "SCRAM-SHA512");
    CHECK(choose_mechanism("PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", careful) == "SCRAM-SHA-256");
    CHECK(choose_mechanism("PLAIN CRAM-MD5 SCRAM-SHA-1", lax) == "SCRAM-SHA-1");
    CHECK(choose_mechanism("PLAIN CRAM-MD5", careful) == "CRAM-MD5");
    CHECK(choose_mechanism("PLAIN LOGIN", lax) == "PLAIN");
    CHECK(choose_mechanism("PLAIN LOGIN", careful).empty());
    CHECK(choose_mechanism("SCRAM-SHA512 PLAIN", tls) == "PLAIN");
    CHECK(choose_mechanism("  SCRAM-SHA1  ", tls) == "SCRAM-SHA1");
    CHECK(choose_mechanism("", lax).empty());
    CHECK(choose_mechanism("OAUTHBEARER GSSAPI", tls).empty());
    CHECK(sasl_mechanism("SCRAM-SHA-512") == SaslMechanism::scram_sha512);
    CHECK_FALSE(sasl_mechanism("scram-sha-512").has_value());
}

TEST_CASE("salted passwords are computed once") {
    ScramKeyCache cache;
    for (int i = 0; i < 3; ++i) {
        SaslClient client("SCRAM-SHA1", "user", "pencil", client_nonce, &cache);
        SaslServer server("SCRAM-SHA1", options_for("user", "pencil"));
        CHECK(talk(client, server).client.kind == Kind::done);
    }
    CHECK(cache.computed() == 1);
    const std::string one = cache.salted_password(ScramHash::sha1, "pencil", example_salt(20), 4096);
    CHECK(cache.computed() == 1);
    CHECK(one == scram_salted_password(ScramHash::sha1, "pencil", example_salt(20), 4096));
    CHECK(cache.salted_password(ScramHash::sha1, "pencil", example_salt(20), 4097) != one);
    CHECK(cache.salted_password(ScramHash::sha1, "pencil2", example_salt(20), 4096) != one);
    CHECK(cache.salted_password(ScramHash::sha256, "pencil", example_salt(20), 4096) != one);
    CHECK(cache.computed() == 4);
    for (char salt = 0; salt < 100; ++salt) (void)cache.salted_password(ScramHash::sha1, "p", {&salt, 1}, 1);
    CHECK(cache.size() == 64);
}

TEST_CASE("comparison in constant time compares") {
    CHECK(equal_in_constant_time("abc", "abc"));
    CHECK_FALSE(equal_in_constant_time("abc", "abd"));
    CHECK_FALSE(equal_in_constant_time("abc", "ab"));
    CHECK(equal_in_constant_time("", ""));
}
