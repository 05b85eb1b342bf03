#include "net/query_channel.hpp"

/// \file
/// The library was built without c-ares: there is nobody to ask.
namespace coir::detail {

query_channel::query_channel(resolver_state& owner, const net::resolver_options&) : owner_(owner), longest_wait_(0) {
    throw std::system_error(std::make_error_code(std::errc::function_not_supported),
                            "net::resolver: this library was built without c-ares");
}

query_channel::~query_channel() = default;
void query_channel::ask(lookup&, loop_time) {}
void query_channel::close() noexcept {}
void query_channel::forget() noexcept {}

} // namespace coir::detail
