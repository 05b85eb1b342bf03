/// \file
/// select_8: a message into one of eight channels, at random, and out again by a select over all of them. The peer is
/// written in Go: peers/go_sync.

#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <coir/channel.hpp>
#include <coir/select.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>

namespace {

constexpr std::size_t channels = 8;

/// The same as in Go.
class random_channel {
public:
    std::size_t next() noexcept {
        state_ ^= state_ << 13U;
        state_ ^= state_ >> 7U;
        state_ ^= state_ << 17U;
        return state_ % channels;
    }

private:
    std::uint64_t state_ = 88172645463325252U;
};

template <std::size_t... I> double select(std::int64_t count, std::index_sequence<I...>) {
    std::array<coir::channel<std::int64_t>, sizeof...(I)> from{((void)I, coir::channel<std::int64_t>{1})...};
    return time_per_operation(count, [&from](std::int64_t messages) {
        random_channel random;
        std::array<std::optional<std::int64_t>, sizeof...(I)> received;
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < messages; ++i) {
            from[random.next()].send(i);
            sum += received[coir::select(coir::receive_from(from[I], received[I])...)].value();
        }
        if (sum != messages * (messages - 1) / 2)
            throw std::runtime_error{"select_8: other messages came out than went in"};
    });
}

double select_of_8(std::int64_t count) {
    return select(count, std::make_index_sequence<channels>{});
}

} // namespace

std::vector<subject> select_subjects() {
    return {{"select_8", "coir", select_of_8}};
}
