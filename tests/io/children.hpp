#pragma once

#include "emulation.hpp"
#include "io/descriptors.hpp"

#include <coir/process.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace coir::test {

/// Every test leaves neither descriptors nor children nor zombies behind.
class children : public descriptors {
protected:
    void SetUp() override {
        if (is_emulated())
            GTEST_SKIP() << "an emulator makes a fork() of it, and does not tell what exec() says";
        descriptors::SetUp();
    }
    void TearDown() override {
        if (IsSkipped())
            return;
        descriptors::TearDown();
        EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
        EXPECT_EQ(errno, ECHILD);
    }
};

inline std::vector<std::string> shell(const std::string& command) {
    return {"/bin/sh", "-c", command};
}

/// All that comes until the end of file.
inline std::string rest_of(io::descriptor& from) {
    std::string text;
    std::array<std::byte, 4096> buffer{};
    while (const std::size_t size = from.read_some(buffer, std::chrono::seconds{20}))
        text += text_of(std::span{buffer}.first(size));
    return text;
}

/// What a program that succeeds writes to its standard output.
inline std::string output_of(const std::vector<std::string>& arguments, io::process_options options = {}) {
    options.output = io::redirect::pipe();
    io::process program{arguments, options};
    std::string text = rest_of(program.output());
    EXPECT_TRUE(program.wait(std::chrono::seconds{20}).success()) << text;
    return text;
}

} // namespace coir::test
