#pragma once

#include "net/lookup.hpp"
#include "sched/loop_driver.hpp"

#include <cstddef>
#include <list>
#include <map>
#include <memory>

namespace coir::detail {

/// Answers for as long as they hold, and not more than so many: the one that was used longest ago goes first.
class answer_cache {
public:
    explicit answer_cache(std::size_t most) noexcept : most_(most) {}

    /// Null if there is none, or not any more.
    [[nodiscard]] std::shared_ptr<const answer> find(const question& asked, loop_time now);
    void put(const question& asked, std::shared_ptr<const answer> found, loop_time expires);
    void clear() noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    struct entry {
        question asked;
        std::shared_ptr<const answer> found;
        loop_time expires;
    };

    const std::size_t most_;
    std::list<entry> entries_; // used last comes first
    std::map<question, std::list<entry>::iterator> by_question_;
};

} // namespace coir::detail
