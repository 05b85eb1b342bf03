#include "exchange.hpp"

#include <algorithm>
#include <utility>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace http_server {

exchange_pool::loan exchange_pool::take() {
    std::unique_ptr<exchange> taken;
    if (free_.empty()) {
        // "for_overwrite": zeros would touch every page of it.
        taken = std::make_unique_for_overwrite<exchange>();
    } else {
        taken = std::move(free_.back());
        free_.pop_back();
    }
    most_lent_ = std::max(most_lent_, ++lent_);
    return loan{taken.release(), give_back{this}};
}

void exchange_pool::put(exchange* used) noexcept {
    std::unique_ptr<exchange> owned{used};
    --lent_;
    if (free_.size() < kept)
        free_.push_back(std::move(owned)); // there is room: reserved
    else
        owned.reset();
    // A rush is over. By itself the allocator gives back only what lies above everything that is still in use.
    if (most_lent_ > 2 * kept && lent_ <= most_lent_ / 4) {
        most_lent_ = lent_;
#if defined(__GLIBC__)
        ::malloc_trim(0);
#endif
    }
}

} // namespace http_server
