#include "io/file_ring.hpp"

// Built instead of file_ring.cpp where there is no liburing.
namespace coir::detail {

std::unique_ptr<file_ring> file_ring::make(struct ev_loop*) noexcept {
    return nullptr;
}

} // namespace coir::detail
