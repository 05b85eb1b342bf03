#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>

namespace coir::detail {

class loop;

/// Accepts a connection of the socket `listener`, whose type is `type` (SOCK_STREAM, …): 0, and `accepted` owns it; else errno or
/// was_cancelled. May suspend. When there is a lack of descriptors or memory it first waits: up to 100 ms.
[[nodiscard]] int accept(loop& here, int listener, int type, deadline until, io::descriptor& accepted) noexcept;

} // namespace coir::detail
