/// \file
/// channel_unbuffered, channel_buffered_64: a message from one fiber to another.

#include "libraries.hpp"
#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/unbuffered_channel.hpp>
#include <coir/channel.hpp>

#include <cstddef>
#include <stdexcept>

namespace {

using message = std::int64_t;

template <std::size_t Capacity> struct coir_channel : by_coir {
    void send(message value) { channel.send(value); }
    message receive() { return channel.receive().value(); }
    coir::channel<message> channel{Capacity};
};

struct boost_unbuffered_channel : by_boost {
    void send(message value) { channel.push(value); }
    message receive() { return channel.value_pop(); }
    boost::fibers::unbuffered_channel<message> channel;
};

/// The capacity must be a power of two, of which one place stays empty.
struct boost_buffered_channel : by_boost {
    void send(message value) { channel.push(value); }
    message receive() { return channel.value_pop(); }
    boost::fibers::buffered_channel<message> channel{64};
};

template <class Channel> double transfer(std::int64_t count) {
    return time_per_operation(count, [](std::int64_t messages) {
        Channel channel;
        auto sender = Channel::spawn([&channel, messages] {
            for (message i = 0; i < messages; ++i)
                channel.send(i);
        });
        message sum = 0;
        for (std::int64_t i = 0; i < messages; ++i)
            sum += channel.receive();
        sender.join();
        if (sum != messages * (messages - 1) / 2)
            throw std::runtime_error{"channel: other messages came out than went in"};
    });
}

} // namespace

std::vector<subject> channel_subjects() {
    return {{"channel_unbuffered", "coir", transfer<coir_channel<0>>},
            {"channel_unbuffered", "boost", transfer<boost_unbuffered_channel>},
            {"channel_buffered_64", "coir", transfer<coir_channel<64>>},
            {"channel_buffered_64", "boost", transfer<boost_buffered_channel>}};
}
