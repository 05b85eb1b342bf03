#include "open_beneath.hpp"

#include "emulation.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>

namespace {

using http_server::file_handle;
namespace fs = std::filesystem;

/// A root with a file beside it, and links of every kind.
struct OpenBeneath : testing::Test {
    OpenBeneath() {
        fs::create_directories(root() / "a" / "b");
        std::ofstream{top / "secret"} << "secret";
        std::ofstream{root() / "a" / "b" / "file"} << "file";
        fs::create_symlink("../../secret", root() / "a" / "out");
        fs::create_symlink(top / "secret", root() / "absolute");
        fs::create_directory_symlink("..", root() / "up");
        fs::create_symlink("a/b/file", root() / "in");
        ::mkfifo((root() / "fifo").c_str(), 0600);
        directory = file_handle{::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    }
    ~OpenBeneath() override { fs::remove_all(top); }

    [[nodiscard]] fs::path root() const { return top / "root"; }

    fs::path top = fs::temp_directory_path() / ("open_beneath." + std::to_string(::getpid()));
    file_handle directory;
};

std::string content(const file_handle& file) {
    char text[16];
    const ssize_t size = ::read(file.get(), text, sizeof text);
    return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

/// What both ways have in common.
void check(const OpenBeneath& here, file_handle (*open)(int, const std::string&) noexcept) {
    const int root = here.directory.get();
    EXPECT_EQ(content(open(root, "a/b/file")), "file");
    EXPECT_TRUE(open(root, ""));
    EXPECT_TRUE(open(root, "a/b"));
    EXPECT_TRUE(open(root, "fifo")) << "or the call is still waiting for a writer";
    for (const char* path : {"..", "../secret", "a/../../secret", "a/out", "absolute", "up/secret", "up/root/a",
                             "a/b/nothing", "a/b/file/x", "a/b/file/"}) {
        errno = 0;
        EXPECT_FALSE(open(root, path)) << path;
        EXPECT_TRUE(errno == EXDEV || errno == ELOOP || errno == ENOTDIR || errno == ENOENT) << path << ' ' << errno;
    }
    EXPECT_FALSE(open(root, std::string(300, 'x')));
    EXPECT_EQ(errno, ENAMETOOLONG);
}

TEST_F(OpenBeneath, LetsNothingOut) {
    check(*this, http_server::open_beneath);
}

TEST_F(OpenBeneath, TheFallbackLetsNothingOut) {
    check(*this, http_server::open_without_links);
    EXPECT_FALSE(http_server::open_without_links(directory.get(), "in"));
}

TEST_F(OpenBeneath, LinksThatStayInsideAreFollowed) {
    if (is_emulated())
        GTEST_SKIP() << "qemu has no openat2";
    EXPECT_EQ(content(http_server::open_beneath(directory.get(), "in")), "file");
}

TEST_F(OpenBeneath, WhatIsInMemoryIsOpenedWithoutTheDisk) {
    const int root = directory.get();
    ASSERT_TRUE(http_server::open_beneath(root, "a/b/file")); // now it is
    const file_handle opened = http_server::open_beneath_in_memory(root, "a/b/file");
    if (!opened && errno == EAGAIN)
        GTEST_SKIP() << "this kernel cannot tell, or forgets at once";
    EXPECT_EQ(content(opened), "file");
    for (const char* path : {"..", "../secret", "a/../../secret", "a/out", "absolute", "up/secret"}) {
        errno = 0;
        EXPECT_FALSE(http_server::open_beneath_in_memory(root, path)) << path;
        EXPECT_TRUE(errno == EXDEV || errno == ELOOP || errno == EAGAIN) << path << ' ' << errno;
    }
}

} // namespace
