#pragma once

#include <coir/detail/intrusive_list.hpp>

/// \file
/// fork() in a program with loops: what the child is left with (docs/fork.md, hazard D8).
///
/// The child has one thread, the one that called fork(). Of the loop that runs there the calling fiber goes on, and all
/// others are dropped: they never run again, and count as cancelled. Loops of other threads are gone. Nothing that the
/// child does reaches the parent's epoll, timers or wake-ups.
///
/// A handler of pthread_atfork() notices. It gives up what the loops of other threads share with the parent, and makes the
/// loop of this thread disappear from loop::current(): the first call of coir in the child finds that, and drops the other
/// fibers before it goes on. That takes time and memory for each of them; a child that only calls exec() pays nothing.
///
/// _Fork() and clone() call no handlers. A driver recognises their children by a page that the kernel clears for
/// them (io/fork_canary.hpp).
namespace coir::detail {

class loop;

/// A loop that fork() must know of, as long as it lives.
class fork_registration : public list_node {
public:
    explicit fork_registration(loop& registered);
    ~fork_registration();
    fork_registration(const fork_registration&) = delete;
    fork_registration& operator=(const fork_registration&) = delete;

    [[nodiscard]] loop& registered() const noexcept { return loop_; }

private:
    loop& loop_;
};

} // namespace coir::detail
