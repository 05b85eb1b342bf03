#include <coir/activated_sockets.hpp>

#include "sched/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace coir::net {
namespace {

constexpr int first_number = 3; // SD_LISTEN_FDS_START

std::optional<std::string> taken_from_environment(const char* name) {
    const char* found = std::getenv(name);
    std::optional<std::string> value;
    if (found)
        value = found;
    ::unsetenv(name);
    return value;
}

std::optional<int> number_from(std::string_view text) noexcept {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number < 0)
        return std::nullopt;
    return number;
}

/// Of the descriptors that nobody owns yet: none is left when an exception comes.
class unowned {
public:
    explicit unowned(int count) noexcept : next_(first_number), end_(first_number + count) {}
    unowned(const unowned&) = delete;
    unowned& operator=(const unowned&) = delete;
    ~unowned() {
        for (; next_ < end_; ++next_)
            ::close(next_);
    }

    [[nodiscard]] bool empty() const noexcept { return next_ == end_; }
    [[nodiscard]] io::descriptor take() {
        io::descriptor owner{next_};
        ++next_;
        return owner;
    }

private:
    int next_;
    int end_;
};

// The next of the names in "a:b:c".
std::string next_name(std::string_view& names) {
    const std::size_t colon = std::min(names.find(':'), names.size());
    std::string name{names.substr(0, colon)};
    names.remove_prefix(std::min(colon + 1, names.size()));
    return name.empty() ? "unknown" : name;
}

} // namespace

std::vector<activated_socket> activated_sockets() {
    static_cast<void>(detail::loop::of_running_fiber("net::activated_sockets"));
    const auto process = taken_from_environment("LISTEN_PID");
    const auto count_text = taken_from_environment("LISTEN_FDS");
    const auto names_text = taken_from_environment("LISTEN_FDNAMES");
    // The variables of a parent, inherited with the rest of the environment: the descriptors are not ours.
    if (!process || !count_text || number_from(*process) != ::getpid())
        return {};
    const std::optional<int> count = number_from(*count_text);
    if (!count || *count > INT_MAX - first_number)
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                "LISTEN_FDS is '" + *count_text + "'");
    // A number that is too large must not close, or run through, all there is.
    for (int number = first_number; number < first_number + *count; ++number)
        if (::fcntl(number, F_SETFD, FD_CLOEXEC) == -1)
            throw std::system_error(errno, std::generic_category(),
                                    "LISTEN_FDS is " + *count_text + ", descriptor " + std::to_string(number));
    unowned rest{*count};
    std::vector<activated_socket> sockets;
    sockets.reserve(static_cast<std::size_t>(*count));
    std::string_view names = names_text ? std::string_view{*names_text} : std::string_view{};
    while (!rest.empty()) {
        std::string name = next_name(names);
        sockets.push_back({std::move(name), rest.take()});
    }
    return sockets;
}

} // namespace coir::net
