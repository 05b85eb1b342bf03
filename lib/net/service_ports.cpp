#include "net/service_ports.hpp"

#include <array>
#include <chrono>
#include <netdb.h>
#include <netinet/in.h>
#include <utility>

namespace coir::detail {
namespace {

constexpr loop_time between_looks = std::chrono::nanoseconds{std::chrono::seconds{1}}.count();

} // namespace

std::uint16_t service_ports::find(std::string_view name, loop_time now) {
    if (now >= next_look_) {
        next_look_ = now + between_looks;
        if (stamp_.has_changed(file_))
            known_.clear();
    }
    if (const auto known = known_.find(name); known != known_.end())
        return known->second;
    std::string text{name};
    const std::uint16_t port = read_(text.c_str());
    if (port != 0) // else there is no such name, or it could not be looked for just now
        known_.emplace(std::move(text), port);
    return port;
}

// Apart from find(): the buffer would be another page of the stack of every fiber that looks a name up.
[[gnu::noinline]] std::uint16_t service_ports::read_port(const char* name) noexcept {
    std::array<char, 4096> buffer;
    servent entry{};
    servent* found = nullptr;
    for (const char* protocol : {"tcp", "udp"})
        if (!found && ::getservbyname_r(name, protocol, &entry, buffer.data(), buffer.size(), &found) != 0)
            found = nullptr;
    return found ? ntohs(static_cast<std::uint16_t>(found->s_port)) : std::uint16_t{0};
}

} // namespace coir::detail
