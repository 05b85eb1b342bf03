#pragma once

#include "stack/stack_pool.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace coir::detail {

/// One stack_pool for each size in use. The first is the default size, and nearly always the only one.
class stack_pools {
public:
    /// `default_size` as in stack_pool.
    explicit stack_pools(std::size_t default_size) { pools_.push_back(std::make_unique<stack_pool>(default_size)); }

    [[nodiscard]] stack_pool& of_default_size() noexcept { return *pools_.front(); }

    /// The pool for stacks of `size` bytes. Throws as stack_pool does.
    [[nodiscard]] stack_pool& of_size(std::size_t size) {
        const std::size_t rounded = stack_pool::rounded_size(size);
        for (const auto& pool : pools_)
            if (pool->stack_size() == rounded)
                return *pool;
        return *pools_.emplace_back(std::make_unique<stack_pool>(rounded));
    }

    /// As stack_pool::trim(), for all.
    bool trim(std::size_t keep, std::size_t batch) noexcept {
        bool more = false;
        for (const auto& pool : pools_)
            more = pool->trim(keep, batch) || more;
        return more;
    }

private:
    std::vector<std::unique_ptr<stack_pool>> pools_;
};

} // namespace coir::detail
