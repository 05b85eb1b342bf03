#include "net/answer_cache.hpp"

#include <utility>

namespace coir::detail {

std::shared_ptr<const answer> answer_cache::find(const question& asked, loop_time now) {
    const auto known = by_question_.find(asked);
    if (known == by_question_.end())
        return nullptr;
    const auto place = known->second;
    if (place->expires <= now) {
        by_question_.erase(known);
        entries_.erase(place);
        return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, place);
    return place->found;
}

void answer_cache::put(const question& asked, std::shared_ptr<const answer> found, loop_time expires) {
    if (most_ == 0)
        return;
    if (const auto known = by_question_.find(asked); known != by_question_.end()) {
        known->second->found = std::move(found);
        known->second->expires = expires;
        return;
    }
    entries_.push_front({asked, std::move(found), expires});
    try {
        by_question_.emplace(asked, entries_.begin());
    } catch (...) {
        entries_.pop_front();
        throw;
    }
    if (entries_.size() > most_) {
        by_question_.erase(entries_.back().asked);
        entries_.pop_back();
    }
}

void answer_cache::clear() noexcept {
    by_question_.clear();
    entries_.clear();
}

} // namespace coir::detail
