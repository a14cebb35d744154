// Callbacks on chaise's own epoll loop: what integrates into any event loop.
//
//   hello_callback memcached://127.0.0.1:11211
//   hello_callback couchbase://127.0.0.1 Administrator password

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <iostream>
#include <string_view>

class Hello {
public:
    Hello(chaise::EpollLoop& loop, std::string_view where, const chaise::BucketOptions& options)
        : loop_(loop), bucket_(loop, where, options) {}

    void start() {
        bucket_.upsert("hello_callback", "world")
            .set_callbacks([this](chaise::OperationResult stored) { on_stored(stored); },
                           [this](const chaise::Error& error) { on_error(error); });
    }
    [[nodiscard]] bool failed() const { return failed_; }

private:
    void on_stored(const chaise::OperationResult& stored) {
        std::cout << "stored with CAS " << stored.cas() << '\n';
        bucket_.get("hello_callback")
            .set_callbacks([this](chaise::ValueResult result) { on_value(result); },
                           [this](const chaise::Error& error) { on_error(error); });
    }
    void on_value(const chaise::ValueResult& result) {
        std::cout << "hello_callback is \"" << result.value() << "\"\n";
        loop_.stop();
    }
    void on_error(const chaise::Error& error) {
        std::cerr << "hello_callback: " << error.message() << '\n';
        failed_ = true;
        loop_.stop();
    }

    chaise::EpollLoop& loop_;
    chaise::AsyncBucket bucket_;
    bool failed_ = false;
};

int main(int argc, char** argv) {
    try {
        chaise::BucketOptions options;
        if (argc > 3) {
            options.username = argv[2];
            options.password = argv[3];
        }
        chaise::EpollLoop loop;
        Hello hello(loop, argc > 1 ? argv[1] : "memcached://127.0.0.1:11211", options);
        hello.start();
        loop.run();
        return hello.failed() ? 1 : 0;
    } catch (const std::exception& error) {
        std::cerr << "hello_callback: " << error.what() << '\n';
        return 1;
    }
}
