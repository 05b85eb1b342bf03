/// Runs several programs at once, a few at a time, each with a deadline, and says how they have ended.
///     run_programs                      some programs of its own choice
///     run_programs COMMAND...           each argument is a command for the shell

#include <coir/process.hpp>
#include <coir/run.hpp>
#include <coir/run_process.hpp>
#include <coir/task_group.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

namespace {

/// How it went, in a line for people.
std::string run_one(const std::vector<std::string>& program) {
    try {
        const coir::io::process_result result =
            coir::io::run_process(program, {.input = "some input\n", .most_output = 1'000'000}, 500ms);
        return result.status.to_string() + ", " + std::to_string(result.output.size()) + " bytes of output";
    } catch (const coir::io::run_process_error& failure) { // killed at the deadline, or for too much output
        return std::string{failure.what()} + ", after " + std::to_string(failure.partial().output.size()) + " bytes";
    } catch (const std::system_error& failure) { // not started
        return failure.what();
    }
}

void run_all(const std::vector<std::vector<std::string>>& programs) {
    coir::task_group group{.max_concurrent = 4};
    for (const std::vector<std::string>& program : programs)
        group.spawn([&program] {
            const std::string end = run_one(program);
            std::cout << program.front() << ": " << end << '\n';
        });
} // all of them have ended

/// A program to talk with: it lives as long as this scope, and not longer.
bool talk() {
    using coir::io::redirect;
    coir::io::process sort{{"sort", "-n"}, {.input = redirect::pipe(), .output = redirect::pipe()}};
    const std::string numbers = "10\n9\n8\n";
    sort.input().write_all(std::as_bytes(std::span{numbers}));
    sort.input().close(); // end of file
    std::string sorted(7, ' ');
    sort.output().read_all(std::as_writable_bytes(std::span{sorted}), 5s);
    std::cout << "sorted: " << sorted;
    return sorted == "8\n9\n10\n" && sort.wait(5s).success();
}

} // namespace

int main(int argc, char** argv) try {
    std::vector<std::vector<std::string>> programs;
    for (int i = 1; i < argc; ++i)
        programs.push_back({"/bin/sh", "-c", argv[i]});
    if (programs.empty())
        programs = {{"date"}, {"cat"}, {"ls", "/"}, {"false"}, {"no-such-program"}, {"sleep", "1000"}, {"yes"}};
    return coir::run([&programs] {
        run_all(programs);
        return talk() ? 0 : 1;
    });
} catch (const std::exception& error) {
    std::cerr << "run_programs: " << error.what() << '\n';
    return 1;
}
