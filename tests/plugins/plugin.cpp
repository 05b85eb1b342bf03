// Compiled several times: into plugins by gcc and by clang, and into the program that loads them.

#include "plugin.hpp"

#include <coir/cancelled.hpp>
#include <coir/context.hpp>
#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

namespace {

void throw_from(source which) {
    switch (which) {
    case source::cancelled: {
        coir::fiber<void> sleeper = coir::spawn([] { coir::this_fiber::sleep_for(1h); });
        coir::this_fiber::yield();
        sleeper.cancel();
        return sleeper.join();
    }
    case source::transfer_error: {
        std::array<std::byte, 1> buffer{};
        coir::io::read_some(-1, buffer);
        return;
    }
    case source::timed_out: {
        coir::fiber<void> sleeper = coir::spawn([] { coir::this_fiber::sleep_for(1h); });
        return sleeper.join(1us);
    }
    case source::misuse:
        return coir::fiber<void>{}.join();
    case source::own:
        throw plugin_error{"own"};
    }
}

coir::fiber<int> spawn_failing(source which) {
    return coir::spawn([which] {
        coir::this_fiber::yield();
        throw_from(which);
        return 0;
    });
}

std::string caught(void (*function)(void*), void* argument) {
    try {
        function(argument);
        return "nothing";
    } catch (const coir::cancelled&) {
        return "cancelled";
    } catch (const coir::io::transfer_error& error) {
        return error.code() == std::errc::bad_file_descriptor ? "transfer_error" : error.what();
    } catch (const std::system_error& error) {
        return error.code() == std::errc::timed_out ? "timed_out" : error.what();
    } catch (const plugin_error& error) {
        return error.what();
    } catch (const std::logic_error&) {
        return "misuse";
    } catch (...) {
        return "something unknown";
    }
}

bool live() {
    return coir::run([] {
        std::vector<coir::fiber<int>> fibers;
        for (const source each : {source::cancelled, source::transfer_error, source::timed_out, source::own})
            fibers.push_back(spawn_failing(each));
        std::string all;
        coir::context contexts{[&](coir::context::self& self) {
            for (auto& each : fibers) {
                all += caught([](void* failing) { static_cast<coir::fiber<int>*>(failing)->join(); }, &each) + ' ';
                self.suspend();
            }
        }};
        while (contexts.resume())
            coir::this_fiber::yield();
        return all == "cancelled transfer_error timed_out own ";
    });
}

} // namespace

extern "C" {

__attribute__((visibility("default"))) extern const plugin coir_test_plugin;
const plugin coir_test_plugin{throw_from, spawn_failing, caught, live};
}
