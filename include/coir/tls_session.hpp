#pragma once

#include <coir/export.hpp>

#include <memory>
#include <utility>

namespace coir::detail {
class tls_ticket;
}

namespace coir::net {

/// What a client needs to resume a session with the same server, faster and without certificates: see tls_stream::session().
/// Cheap to copy. Threads: may be passed to another thread.
class COIR_EXPORT tls_session {
public:
    /// Empty.
    tls_session() noexcept = default;

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(ticket_); }

    /// Not for users.
    explicit tls_session(std::shared_ptr<const detail::tls_ticket> ticket) noexcept : ticket_(std::move(ticket)) {}
    [[nodiscard]] const std::shared_ptr<const detail::tls_ticket>& ticket() const noexcept { return ticket_; }

private:
    std::shared_ptr<const detail::tls_ticket> ticket_;
};

} // namespace coir::net
