#pragma once

#include "request_parser.hpp"
#include "request_target.hpp"
#include "response_batch.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace http_server {

/// All memory that one connection needs while it is being served.
struct exchange {
    std::array<char, 4096> input;
    request_parser parser;
    target_path path;
    response_batch answers;
};

/// Lends exchanges. A connection has one from the first bytes of a request to the last of its answer; between
/// requests it has none, and keeps nothing but a page or two of stack. So few exchanges serve many connections,
/// and they stay in the processor's cache. Many are lent only in a rush of clients that are slow to ask or to take
/// the answer.
class exchange_pool {
public:
    class give_back {
    public:
        explicit give_back(exchange_pool* pool = nullptr) noexcept : pool_(pool) {}
        void operator()(exchange* used) const noexcept { pool_->put(used); }

    private:
        exchange_pool* pool_;
    };
    using loan = std::unique_ptr<exchange, give_back>;

    exchange_pool() { free_.reserve(kept); }

    /// Throws std::bad_alloc. The pool must live longer than the loan.
    [[nodiscard]] loan take();

private:
    static constexpr std::size_t kept = 16;

    void put(exchange* used) noexcept;

    std::vector<std::unique_ptr<exchange>> free_;
    std::size_t lent_ = 0;
    std::size_t most_lent_ = 0; // since memory was last given back
};

} // namespace http_server
