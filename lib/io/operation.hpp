#pragma once

#include <coir/deadline.hpp>

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace coir::detail {

class loop;

enum class direction : std::uint8_t { read, write };

/// In place of an errno: the fiber was cancelled. No errno itself, since some system calls report ECANCELED for
/// reasons of their own.
inline constexpr int was_cancelled = -1;

/// How a blocking call ended: errno, or was_cancelled, or 0; and the bytes moved before.
struct outcome {
    std::size_t bytes = 0;
    int error = 0;
};

/// Units of a slice (loop::spend()) that a system call which did not block costs: about what it costs in time, measured
/// in switches.
inline constexpr int switches_per_system_call = 4;

/// A blocking call made of one system call that is repeated until it succeeds, for the layers above: accept, connect.
class operation {
public:
    explicit operation(direction ready_for) noexcept : way(ready_for) {}
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;
    virtual ~operation() = default;

    /// Does it without blocking: true if done; else errno tells, and EAGAIN asks to be called again when `number` is ready.
    virtual bool attempt(int number) noexcept = 0;
    /// The attempt that was done has taken all there was to read: the next one need not be made before `number` is ready.
    [[nodiscard]] virtual bool took_all() const noexcept { return false; }

    const direction way;
};

/// Repeats `work` on `number`, waiting in between, until it is done or fails. May suspend.
outcome perform(loop& here, int number, operation& work, deadline until) noexcept;

} // namespace coir::detail
