// The rows of a view by co_await, with their documents, and of a SQL++ statement.
//
//   views_await couchbase://127.0.0.1 Administrator password [design view]

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <iostream>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

static chaise::Task<> show(chaise::AsyncBucket& bucket, std::string design, std::string view) {
    auto rows = bucket.view_query(design, view, {.stale = chaise::Stale::updated, .limit = 10, .include_docs = true});
    while (auto row = co_await rows.next()) {
        std::cout << row.key() << " in " << row.docid().value_or("none");
        if (row.doc() && row.doc()->has_value()) std::cout << ": " << (*row.doc())->value();
        std::cout << '\n';
    }
    std::cout << rows.rows_returned() << " of " << rows.meta().total_rows().value_or(0) << " rows\n";

    // All at once; an error is an exception of its class.
    try {
        auto statement = bucket.n1ql_query("SELECT RAW $1 || '!'", {.positional = R"(["hello"])"});
        for (const chaise::Row& row : co_await statement.all()) std::cout << row.json() << '\n';
        auto missing = bucket.view_query(design, "no such view");
        co_await missing.all();
    } catch (const chaise::NotFoundError& error) {
        std::cout << "NotFoundError: " << error.what() << '\n';
    }
}

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: views_await couchbase://HOST USER PASSWORD [DESIGN VIEW]\n";
        return 2;
    }
    try {
        chaise::EpollLoop loop;
        chaise::AsyncBucket bucket(loop, argv[1], {.username = argv[2], .password = argv[3]});
        chaise::spawn(loop, show(bucket, argc > 4 ? argv[4] : "beer", argc > 5 ? argv[5] : "by_name"));
        loop.run();
    } catch (const std::exception& error) {
        std::cerr << "views_await: " << error.what() << '\n';
        return 1;
    }
}
