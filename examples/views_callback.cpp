// The rows of a view by callbacks: a subclass of AsyncViewBase.
//
//   views_callback couchbase://127.0.0.1 Administrator password [design view]

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <iostream>
#include <span>
#include <string_view>

class Printer : public chaise::AsyncViewBase {
public:
    Printer(chaise::ViewCall call, chaise::EpollLoop& loop) : AsyncViewBase(std::move(call)), loop_(loop) {}
    [[nodiscard]] bool failed() const { return failed_; }

private:
    void on_rows(std::span<const chaise::Row> rows) override {
        for (const chaise::Row& row : rows) std::cout << row.key() << " -> " << row.value() << '\n';
    }
    void on_error(const chaise::Error& error) override {
        std::cerr << "views_callback: " << error.message() << '\n';
        failed_ = true;
    }
    void on_done() override {  // last, and once
        std::cout << rows_returned() << " rows\n";
        loop_.stop();
    }

    chaise::EpollLoop& loop_;
    bool failed_ = false;
};

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: views_callback couchbase://HOST USER PASSWORD [DESIGN VIEW]\n";
        return 2;
    }
    try {
        chaise::EpollLoop loop;
        chaise::AsyncBucket bucket(loop, argv[1], {.username = argv[2], .password = argv[3]});
        auto view = bucket.query<Printer>(argc > 4 ? argv[4] : "beer", argc > 5 ? argv[5] : "by_name",
                                          {.stale = chaise::Stale::updated}, loop);
        view->start();
        loop.run();
        return view->failed() ? 1 : 0;
    } catch (const std::exception& error) {
        std::cerr << "views_callback: " << error.what() << '\n';
        return 1;
    }
}
