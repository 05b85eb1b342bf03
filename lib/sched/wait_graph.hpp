#pragma once

#include <coir/detail/fiber_base.hpp>
#include <coir/detail/intrusive_list.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace coir::detail {

/// Which fiber of a loop waits for which: the wait-for graph of deadlock detection. An edge leads from a fiber that locks a
/// mutex to the one that holds it, and from one that joins to the one that is joined. A picture of one moment, made by the
/// loop's thread while no fiber runs.
class wait_graph {
public:
    /// Throws std::bad_alloc, as do the others.
    wait_graph(intrusive_list<fiber_base>& fibers, std::size_t count);

    /// What `fiber`, one of the loop's, does, as describe_state(), and the name of the holder if that is another of them.
    [[nodiscard]] std::string describe_state(const fiber_base& fiber);

    /// Says on stderr who waits for each other in a cycle, without a deadline, and so for ever unless cancelled; of each fiber
    /// once.
    void report_cycles();

private:
    enum class visit : unsigned char { not_yet, on_this_way, done };
    struct node {
        fiber_base* fiber;
        node* blocker;
        visit visited;
    };

    [[nodiscard]] node* find(const fiber_base* fiber) noexcept;
    [[nodiscard]] static std::string describe_state(const node& of);
    void report_cycle(node& first);

    std::vector<node> nodes_; // by address
};

} // namespace coir::detail
