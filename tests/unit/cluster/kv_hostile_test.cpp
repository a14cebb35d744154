// Clients that send what they should not: it costs them their connection, or an EINVAL, and nobody else anything.

#include "kv_fixture.hpp"

#include <chaise/testing/sim_random.hpp>

#include "cluster/kv/json_check.hpp"
#include "protocol/subdocument_requests.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

std::string header(std::uint8_t magic, Opcode opcode, std::uint16_t key, std::uint8_t extras, std::uint32_t body) {
    std::string bytes(protocol::header_size, '\0');
    bytes[0] = static_cast<char>(magic);
    bytes[1] = static_cast<char>(opcode);
    protocol::store_be16(bytes.data() + 2, key);
    bytes[4] = static_cast<char>(extras);
    protocol::store_be32(bytes.data() + 8, body);
    return bytes;
}

}  // namespace

TEST_CASE("bytes that are no frame end the connection", "[kv][hostile]") {
    KvCluster cluster;
    const auto end = [&](const std::string& bytes) {
        KvUser user(cluster, 0);
        const auto answers = user.send(bytes);
        CHECK(user.outlet.closed);
        return answers.empty() ? Status::success : answers.back().status();
    };
    CHECK(end("GET / HTTP/1.1\r\n\r\n") == Status::success);
    CHECK(end(std::string(100, '\0')) == Status::success);
    CHECK(end(header(0x81, Opcode::get, 0, 0, 0)) == Status::success);
    CHECK(end(header(0x82, Opcode::get, 0, 0, 0)) == Status::success);
    CHECK(end(header(0x80, Opcode::get, 10, 0, 5)) == Status::einval);
    CHECK(end(header(0x80, Opcode::set, 1, 8, 31u * 1024 * 1024)) == Status::success);
    CHECK(end(header(0x80, Opcode::set, 1, 8, 0xffffffff)) == Status::success);
    KvUser bystander(cluster, 0);
    CHECK(bystander.set("k", "v").status() == Status::success);
}

TEST_CASE("frames that no command has are EINVAL, and the connection stays", "[kv][hostile]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    for (int opcode = 0; opcode < 256; ++opcode) {
        const auto code = static_cast<Opcode>(opcode);
        if (code == Opcode::quit || code == Opcode::quitq) continue;
        INFO(name(code));
        // Extras, key and value that belong to nothing.
        const auto answers = user.send(header(0x80, code, 3, 7, 3 + 7 + 5) + std::string(15, '\xff'));
        REQUIRE_FALSE(answers.empty());
        CHECK(answers.back().status() != Status::success);
        CHECK_FALSE(user.outlet.closed);
        CHECK(answers.back().frame.opcode == code);
        // And commands that lack what they need.
        user.send(header(0x80, code, 0, 0, 0));
        if (code == Opcode::sasl_auth || code == Opcode::hello) {
            user.hello();
            user.login().select();
        }
        CHECK_FALSE(user.outlet.closed);
    }
    user.hello();
    CHECK(user.set("k", "v").status() == Status::success);
}

TEST_CASE("a pipeline may come in any pieces", "[kv][hostile]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    std::string pipeline;
    for (std::uint32_t i = 0; i < 50; ++i) {
        protocol::RequestContext context = user.to("k");
        context.opaque = i;
        pipeline += i % 2 == 0 ? protocol::encoded(protocol::StoreRequest{context, Opcode::set, "k", std::to_string(i)})
                               : protocol::encoded(protocol::GetRequest{context, "k"});
    }
    std::vector<KvAnswer> answers;
    for (const char byte : pipeline)
        for (KvAnswer& answer : user.send({&byte, 1})) answers.push_back(std::move(answer));
    REQUIRE(answers.size() == 50);
    for (std::uint32_t i = 0; i < 50; ++i) {
        CHECK(answers[i].frame.opaque == i);
        if (i % 2 == 1) CHECK(answers[i].value() == std::to_string(i - 1));
    }
}

TEST_CASE("answers are given in steps that a server can bound", "[kv][hostile]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    const std::string value(100'000, 'v');
    user.set("k", value);
    std::string pipeline;
    for (int i = 0; i < 100; ++i) pipeline += protocol::encoded(protocol::GetRequest{user.to("k"), "k"});
    const std::size_t used = user.conversation->on_bytes(pipeline);
    CHECK(used < pipeline.size());
    CHECK(user.outlet.sent.size() < 2 * value.size());
}

// Valid requests with bytes changed, cut and repeated; and plain noise. Nothing may crash, hang or answer nonsense.
TEST_CASE("fuzz", "[kv][hostile]") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        SimRandom random(seed);
        ClusterOptions options;
        if (random.below(2) != 0) options.replication_delay = 1ms;
        KvCluster cluster(2, {.vbuckets = 4, .replicas = 1}, options);
        std::vector<Feature> features = modern_features();
        for (const Feature feature : {Feature::unordered_execution, Feature::tracing, Feature::duplex, Feature::xattr})
            if (random.below(2) != 0) features.push_back(feature);
        if (random.below(4) == 0) features.clear();
        auto user = std::make_unique<KvUser>(cluster, 0, features);
        std::vector<std::string> corpus;
        const protocol::RequestContext context = user->at(static_cast<std::uint16_t>(random.below(4)));
        const protocol::RequestFrameInfo infos[] = {
            protocol::RequestFrameInfo::durability(protocol::DurabilityLevel::majority, 100),
            protocol::RequestFrameInfo::preserve_ttl()};
        protocol::RequestContext flexible = context;
        flexible.frame_infos = infos;
        const protocol::ObserveKey keys[] = {{context.vbucket, "k", 0}, {context.vbucket, "l", 0}};
        corpus.push_back(protocol::encoded(protocol::GetRequest{context, "k"}));
        corpus.push_back(protocol::encoded(protocol::GetRequest{context, "k", Opcode::get_replica}));
        corpus.push_back(protocol::encoded(protocol::StoreRequest{context, Opcode::set, "k", "12"}));
        corpus.push_back(
            protocol::encoded(protocol::StoreRequest{flexible, Opcode::set, "k", R"({"a":[1,"\u00e4"]})"}));
        corpus.push_back(protocol::encoded(protocol::ConcatRequest{context, Opcode::append, "k", "x"}));
        corpus.push_back(protocol::encoded(protocol::CounterRequest{context, Opcode::increment, "k", 1, 1, 0}));
        corpus.push_back(protocol::encoded(protocol::RemoveRequest{context, "k"}));
        corpus.push_back(protocol::encoded(protocol::GetLockedRequest{context, "k", 1}));
        corpus.push_back(protocol::encoded(protocol::TouchRequest{context, "k", 1}));
        corpus.push_back(protocol::encoded(protocol::GetMetaRequest{context, "k", 2}));
        corpus.push_back(protocol::encoded(protocol::ObserveRequest{{}, keys}));
        const protocol::LookupSpec lookups[] = {{Opcode::subdoc_get, 4, "$document.CAS"},
                                                {Opcode::subdoc_get, 0, "a[0].`b`"},
                                                {Opcode::subdoc_get_count, 0, "a"}};
        const protocol::MutationSpec mutations[] = {{Opcode::subdoc_dict_upsert, 0x15, "_x.y", "\"${Mutation.CAS}\""},
                                                    {Opcode::subdoc_array_push_last, 1, "a", "1,[2]"},
                                                    {Opcode::subdoc_remove, 0, "a[-1]", ""}};
        corpus.push_back(protocol::encoded(protocol::MultiLookupRequest{context, "k", lookups, 4}));
        corpus.push_back(protocol::encoded(protocol::MultiMutationRequest{flexible, "k", {mutations, 2}, 1}));
        corpus.push_back(protocol::encoded(protocol::MultiMutationRequest{context, "k", mutations}));
        corpus.push_back(protocol::encoded(
            protocol::SubdocMutationRequest{context, Opcode::subdoc_counter, "k", "n.m", "12", 1, 1, 1}));
        corpus.push_back(protocol::encoded(protocol::SubdocLookupRequest{context, Opcode::subdoc_get, "k", "a"}));
        corpus.push_back(protocol::encoded(protocol::ObserveSeqnoRequest{context, 1}));
        corpus.push_back(protocol::encoded(protocol::SeqnoPersistenceRequest{context, 1}));
        corpus.push_back(protocol::encoded(protocol::GetAllVbSeqnosRequest{{}, VBucketState::active, 0}));
        corpus.push_back(protocol::encoded(protocol::StatRequest{.group = "vbucket-details 1"}));
        corpus.push_back(protocol::encoded(protocol::GetClusterConfigRequest{.known = protocol::ConfigRevision{1, 1}}));
        corpus.push_back(protocol::encoded(protocol::GetCollectionIdRequest{{}, "_default._default"}));
        corpus.push_back(protocol::encoded(protocol::SaslAuthRequest{{}, "SCRAM-SHA1", "n,,n=Administrator,r=abcd"}));
        corpus.push_back(protocol::encoded(protocol::HelloRequest{.agent = "f", .features = modern_features()}));
        std::uint64_t frames = 0;
        for (int i = 0; i < 200; ++i) {
            // A length that was changed makes it wait for more; a client would hang up then, too.
            if (user->outlet.closed || user->input.size() > 300) user = std::make_unique<KvUser>(cluster, 0, features);
            std::string bytes = corpus[random.below(corpus.size())];
            const std::uint64_t changes = random.below(4);
            for (std::uint64_t change = 0; change < changes; ++change) {
                // The first byte decides most, and is left alone mostly.
                const std::uint64_t first = random.below(8) == 0 ? 0 : 1;
                bytes[random.between(first, bytes.size() - 1)] = static_cast<char>(random());
            }
            if (random.below(40) == 0) bytes.resize(random.below(bytes.size()));
            if (random.below(200) == 0)
                for (char& byte : bytes) byte = static_cast<char>(random());
            frames += user->send(bytes).size();
            if (random.below(8) == 0) cluster.world.run_for(1ms);
            user->offer();
        }
        CHECK(frames > 20);
        user.reset();
        cluster.world.run_for(60s);
        KvUser bystander(cluster, cluster.active("fine"));
        CHECK(bystander.set("fine", "v").status() == Status::success);
    }
}

TEST_CASE("what is JSON", "[kv]") {
    for (const char* text : {"{}", "[]", "null", "true", " false ", "0", "-1.5e+3", "\"\"", "\"\\u00e4\\n\"",
                             "{\"a\":{\"b\":[1,2,{}]},\"c\":null}", "[[[[]]]]",
                             "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", "\t[1 , 2]\r\n"})
        CHECK(is_json(text));
    for (const char* text : {"",
                             " ",
                             "{",
                             "}",
                             "[1,]",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{a:1}",
                             "{\"a\":1,}",
                             "01",
                             "1.",
                             ".5",
                             "1e",
                             "+1",
                             "-",
                             "nul",
                             "nullx",
                             "\"",
                             "\"\n\"",
                             "\"\\x\"",
                             "\"\\u12g4\"",
                             "'a'",
                             "[1 2]",
                             "1 2",
                             "[}",
                             "{]",
                             "\"\xff\"",
                             "\"\xc0\x80\"",
                             "\"\xed\xa0\x80\"",
                             "\"\xf4\x90\x80\x80\"",
                             "hello",
                             "NaN"})
        CHECK_FALSE(is_json(text));
    CHECK(is_json(std::string(1000, '[') + std::string(1000, ']')));
    CHECK_FALSE(is_json(std::string(100'000, '[') + std::string(100'000, ']')));  // too deep, not a crash
    CHECK_FALSE(is_json(std::string("1\0", 2)));
}
