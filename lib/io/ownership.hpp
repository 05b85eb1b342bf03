#pragma once

#include <coir/descriptor.hpp>

#include <cstdint>

namespace coir::detail {

/// What the layers above need of descriptors beyond the public interface.
struct ownership {
    /// Takes over a stream socket that the system has just made, in non-blocking mode. On an error (an errno) it is closed.
    [[nodiscard]] static io::descriptor adopt_fresh_socket(int number, int& error) noexcept;
    /// The same for a socket with messages.
    [[nodiscard]] static io::descriptor adopt_fresh_message_socket(int number, int& error) noexcept;
    /// The same for the end of a new pipe.
    [[nodiscard]] static io::descriptor adopt_fresh_pipe_end(int number, int& error) noexcept;
    /// The same for a descriptor of any kind that has come from another process, in whose mode it stays.
    [[nodiscard]] static io::descriptor adopt_received(int number, int& error) noexcept;

    /// The owner of `number`; or, if there is an error, none, and it is closed.
    [[nodiscard]] static io::descriptor owner_of(int number, int error) noexcept;

    /// Changes when the number is closed: whoever suspended can tell that it is not the same descriptor any more.
    [[nodiscard]] static std::uint32_t generation(int number) noexcept;
};

/// Wakes the fibers of this loop that wait for `number`, as if it were closed.
void withdraw_descriptor(int number) noexcept;

/// Wakes the fibers of this loop that wait for `number` and closes it. Returns 0 or an errno; closed in any case.
int close_descriptor(int number) noexcept;

} // namespace coir::detail
