#pragma once

#include <coir/endpoint.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>

#include <chrono>
#include <system_error>
#include <vector>

namespace coir::test {

/// A listener whose queue is full answers no further connection: as a host that drops packets.
class black_hole {
public:
    black_hole() : listener_(net::endpoint{"127.0.0.1", 0}, {.backlog = 0}) {
        std::error_code error;
        for (int i = 0; i < 4 && !error; ++i)
            queued_.emplace_back(listener_.local_endpoint(), error, std::chrono::milliseconds{50});
    }
    [[nodiscard]] net::endpoint where() const { return listener_.local_endpoint(); }
    [[nodiscard]] bool swallows() const { return !queued_.back(); }

private:
    net::tcp_listener listener_;
    std::vector<net::tcp_stream> queued_;
};

} // namespace coir::test
