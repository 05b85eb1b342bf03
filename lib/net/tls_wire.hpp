#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/types.h>

namespace coir::detail {

/// The ciphertext side of a TLS connection: what the engine reads from and writes to, in the place of a socket that blocks.
/// Nothing here waits.
///
/// Input goes straight from the socket to the engine. Output is stored, for two reasons: a record that has been encrypted
/// must be sent to its last byte before anything else, whatever deadline or cancellation comes in between, so it has to stay
/// somewhere that outlives the call; and several records leave in one system call. A record that goes alone is offered to the
/// socket first, which mostly saves the copy.
class tls_wire {
public:
    explicit tls_wire(int socket) noexcept : socket_(socket) {}

    /// The socket may have become readable.
    void look_again() noexcept { drained_ = false; }
    /// Nothing is received until then: it is for whom waits for it.
    void look_away() noexcept { drained_ = true; }
    /// The last receive() took all there was.
    [[nodiscard]] bool is_drained() const noexcept { return drained_; }
    /// Bytes; 0 at the end; -1 and errno.
    ssize_t receive(std::span<std::byte> buffer) noexcept;

    /// Room for so many bytes, so that store() does not fail. False: no memory.
    [[nodiscard]] bool reserve(std::size_t bytes) noexcept;
    [[nodiscard]] bool store(std::span<const std::byte> bytes) noexcept;
    /// Sends what it can, if nothing is stored, and stores the rest. Errors are those of the next send_stored().
    [[nodiscard]] bool send_or_store(std::span<const std::byte> bytes) noexcept;

    [[nodiscard]] bool has_unsent() const noexcept { return begin_ != end_; }
    [[nodiscard]] std::size_t unsent() const noexcept { return end_ - begin_; }
    /// Of all that has ever been given: so many bytes have been sent, or are stored.
    [[nodiscard]] std::uint64_t given() const noexcept { return sent_ + unsent(); }
    [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
    /// Sends what is stored. False, and errno, when the socket does not take it all. No SIGPIPE (hazard D9).
    bool send_stored() noexcept;
    /// It will never be sent.
    void drop_stored() noexcept;

    /// The socket is closed.
    void detach() noexcept { socket_ = -1; }

private:
    void note_failure() noexcept;

    int socket_;
    bool drained_ = false;
    int broken_ = 0;  // errno with which the connection ended; the kernel reports it once only
    int refusal_ = 0; // errno of a send_or_store()
    std::uint64_t sent_ = 0;

    // Bytes begin_ to end_ of stored_. Memory only while there is something: most connections are idle.
    std::unique_ptr<std::byte[]> stored_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

} // namespace coir::detail
