/// Ends on SIGINT (Control-C) or SIGTERM, but finishes first what it has begun: for five seconds at the most.
///     graceful_shutdown                 works until a signal comes
///     graceful_shutdown --self-test     sends itself one

#include <coir/cancel_scope.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/signal_set.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <csignal>
#include <iostream>
#include <string_view>

#include <unistd.h>

using namespace std::chrono_literals;

namespace {

int begun = 0;
int finished = 0;

void work() {
    ++begun;
    coir::this_fiber::sleep_for(50ms);
    ++finished;
}

/// Starts something every 10 ms, until a signal comes. Then true if all could be finished; false if there was no time, or a
/// second signal came.
bool serve(coir::io::signal_set& stopping) {
    coir::cancel_scope scope;
    return scope.run([&] {
        coir::task_group work_in_progress;
        while (coir::select(stopping.readable(), coir::after(10ms)) != 0)
            work_in_progress.spawn(work);
        std::cout << "signal " << stopping.wait().signal << ": nothing new is begun" << std::endl;

        scope.expires_at(5s);
        const coir::fiber<void> second = coir::spawn([&] {
            stopping.wait();
            scope.cancel();
        });
        work_in_progress.join();
    });
}

} // namespace

int main(int argc, char** argv) {
    // Before coir::run, and before any thread is started: those inherit the mask.
    coir::io::signal_set stopping{SIGINT, SIGTERM};
    const bool self_test = argc > 1 && std::string_view{argv[1]} == "--self-test";
    return coir::run([&] {
        coir::fiber<void> sender;
        if (self_test)
            sender = coir::spawn([] {
                coir::this_fiber::sleep_for(100ms);
                ::kill(::getpid(), SIGTERM);
            });
        const bool all = serve(stopping);
        std::cout << begun << " begun, " << finished << " finished\n";
        return all && begun != 0 && begun == finished ? 0 : 1;
    });
}
