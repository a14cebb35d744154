#pragma once

#include <chaise/chaise.hpp>

#include <string>

namespace chaise::testing {

/// Makes what the examples of views look at: three documents, and the view "by_name" of the design document "beer".
inline Task<> brew(AsyncBucket& bucket) {
    for (const char* name : {"amber", "bock", "cream ale"}) {
        const std::string key = std::string("beer_") + name;
        const std::string value = std::string(R"({"name":")") + name + "\"}";
        co_await bucket.upsert(key, value);
    }
    auto designs = bucket.design_documents();
    co_await designs.create("beer",
                            R"({"views":{"by_name":{"map":"function(doc) { emit(doc.name, doc.name.length); }"}}})",
                            {.development = false});
}

}  // namespace chaise::testing
