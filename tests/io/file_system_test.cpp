// Files by their names, by io_uring and by threads, beside what std::filesystem says.
#include <coir/file_system.hpp>

#include "files.hpp"

#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <unistd.h>

namespace coir::test {
namespace {

namespace fs = std::filesystem;

using file_system = files;
COIR_TEST_BY_BOTH(file_system);

TEST_P(file_system, status_of_a_path) {
    fill(path(), "12345");
    fs::create_symlink("file", path("link"));
    coir::run([this] {
        EXPECT_EQ(io::status(path()).size, 5U);
        EXPECT_EQ(io::status(path()).permissions, fs::status(path()).permissions());
        EXPECT_EQ(io::status(path("link")).inode, io::status(path()).inode);
        EXPECT_EQ(io::status(path("link")).type, fs::file_type::regular);
        EXPECT_EQ(io::link_status(path("link")).type, fs::file_type::symlink);
        EXPECT_EQ(io::status(path(".")).type, fs::file_type::directory);
        EXPECT_EQ(io::status("/dev/null").type, fs::file_type::character);
        EXPECT_EQ(thrown_by([&] { (void)io::status(path("none")); }), std::errc::no_such_file_or_directory);
        EXPECT_EQ(error_of([&](std::error_code& error) { (void)io::link_status(path("none"), error); }),
                  std::errc::no_such_file_or_directory);
    });
}

TEST_P(file_system, rename_replaces) {
    fill(path("from"), "new");
    fill(path("to"), "old");
    coir::run([this] {
        io::rename(path("from"), path("to"));
        EXPECT_EQ(contents_of(path("to")), "new");
        EXPECT_FALSE(fs::exists(path("from")));
        try {
            io::rename(path("none"), path("to"));
            ADD_FAILURE();
        } catch (const fs::filesystem_error& error) {
            EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
            EXPECT_EQ(error.path1(), path("none"));
            EXPECT_EQ(error.path2(), path("to"));
        }
        EXPECT_EQ(error_of([&](std::error_code& error) { io::rename(path("to"), path("to") / "below", error); }),
                  std::errc::not_a_directory);
    });
}

TEST_P(file_system, remove_and_create_as_the_standard_does) {
    coir::run([this] {
        EXPECT_TRUE(io::create_directory(path("folder")));
        EXPECT_TRUE(fs::is_directory(path("folder")));
        EXPECT_FALSE(io::create_directory(path("folder")));
        fill(path("folder") / "file", "");
        EXPECT_EQ(thrown_by([&] { io::remove(path("folder")); }), std::errc::directory_not_empty);
        EXPECT_EQ(thrown_by([&] { io::create_directory(path("folder") / "file"); }), std::errc::file_exists);
        EXPECT_TRUE(io::remove(path("folder") / "file"));
        EXPECT_FALSE(io::remove(path("folder") / "file"));
        EXPECT_TRUE(io::remove(path("folder")));
        EXPECT_FALSE(fs::exists(path("folder")));
        EXPECT_EQ(thrown_by([&] { io::create_directory(path("none") / "folder"); }),
                  std::errc::no_such_file_or_directory);
    });
}

TEST_P(file_system, a_listing_is_complete) {
    std::set<std::string> expected{"folder", "link", "pipe"};
    fs::create_directory(path("list"));
    fs::create_directory(path("list") / "folder");
    fs::create_symlink("nowhere", path("list") / "link");
    ASSERT_EQ(::mkfifo((path("list") / "pipe").c_str(), 0600), 0);
    for (int i = 0; i < 1'300; ++i) {
        fill(path("list") / std::to_string(i), "");
        expected.insert(std::to_string(i));
    }
    coir::run([&] {
        const auto entries = io::list_directory(path("list"));
        std::set<std::string> found;
        for (const io::directory_entry& entry : entries) {
            found.insert(entry.name.string());
            EXPECT_TRUE(entry.type == fs::file_type::unknown ||
                        entry.type == fs::symlink_status(path("list") / entry.name).type());
        }
        EXPECT_EQ(entries.size(), expected.size());
        EXPECT_EQ(found, expected);
        EXPECT_TRUE(io::list_directory(path("list") / "folder").empty());
        EXPECT_EQ(thrown_by([&] { (void)io::list_directory(path("none")); }), std::errc::no_such_file_or_directory);
        EXPECT_EQ(thrown_by([&] { (void)io::list_directory(path("list") / "1"); }), std::errc::not_a_directory);
    });
}

TEST_P(file_system, whole_files) {
    coir::run([this] {
        for (const std::size_t size : {0UL, 1UL, 4'096UL, 300'000UL}) {
            const std::string text = pattern(size);
            EXPECT_EQ(io::write_file(path(), bytes_of(text)), size);
            EXPECT_TRUE(contents_of(path()) == text) << size;
            EXPECT_TRUE(io::read_file(path()) == text) << size;
        }
        io::write_file(path(), "short");
        EXPECT_EQ(io::read_file(path()), "short");
        EXPECT_EQ(io::read_file("/proc/self/cmdline"), contents_of("/proc/self/cmdline")); // says its size is 0
        EXPECT_EQ(thrown_by([&] { (void)io::read_file(path("none")); }), std::errc::no_such_file_or_directory);
        EXPECT_EQ(thrown_by([&] { (void)io::read_file(path(".")); }), std::errc::is_a_directory);
        EXPECT_EQ(error_of([&](std::error_code& error) { io::write_file(path("no/where"), {}, error); }),
                  std::errc::no_such_file_or_directory);
    });
}

TEST_P(file_system, errors_name_the_path) {
    coir::run([this] {
        for (const auto& call : std::vector<std::function<void()>>{
                 [this] { (void)io::status(path("none")); }, [this] { (void)io::list_directory(path("none")); },
                 [this] { (void)io::read_file(path("none")); }, [this] { io::rename(path("none"), path("x")); },
                 [this] { io::create_directory(path("none") / "x"); }}) {
            try {
                call();
                ADD_FAILURE();
            } catch (const std::system_error& error) {
                EXPECT_NE(std::string_view{error.what()}.find(path("none").string()), std::string_view::npos);
                EXPECT_NE(std::string_view{error.what()}.find("io::"), std::string_view::npos) << error.what();
            }
        }
    });
}

TEST_P(file_system, outside_of_run) {
    EXPECT_THROW((void)io::status("/"), std::logic_error);
    EXPECT_THROW((void)io::list_directory("/"), std::logic_error);
    EXPECT_THROW((void)io::read_file("/dev/null"), std::logic_error);
    const auto not_permitted = std::errc::operation_not_permitted;
    EXPECT_EQ(error_of([](std::error_code& error) { io::remove("/no", error); }), not_permitted);
    EXPECT_EQ(error_of([](std::error_code& error) { (void)io::read_file("/dev/null", error); }), not_permitted);
}

// What the system would see is the path of something else.
TEST_P(file_system, a_null_character_in_a_path) {
    fill(path(), "contents");
    const fs::path cut = path().string() + std::string("\0.txt", 5);
    coir::run([&] {
        const auto refused = std::errc::invalid_argument;
        EXPECT_EQ(thrown_by([&] { const io::file opened{cut}; }), refused);
        EXPECT_EQ(thrown_by([&] { (void)io::read_file(cut); }), refused);
        EXPECT_EQ(thrown_by([&] { (void)io::status(cut); }), refused);
        EXPECT_EQ(thrown_by([&] { (void)io::link_status(cut); }), refused);
        EXPECT_EQ(thrown_by([&] { (void)io::list_directory(path(".").string() + std::string("\0", 1)); }), refused);
        EXPECT_EQ(thrown_by([&] { io::rename(cut, path("new")); }), refused);
        EXPECT_EQ(thrown_by([&] { io::rename(path(), path("new").string() + std::string("\0", 1)); }), refused);
        EXPECT_EQ(thrown_by([&] { io::create_directory(path("new").string() + std::string("\0", 1)); }), refused);
        EXPECT_EQ(thrown_by([&] { io::remove(cut); }), refused);
        EXPECT_TRUE(fs::exists(path()));
        EXPECT_FALSE(fs::exists(path("new")));
    });
}

TEST_P(file_system, the_others_run_meanwhile) {
    fill(path(), pattern(100'000));
    coir::run([this] {
        int turns = 0;
        auto other = spawn([&] {
            for (;;) {
                ++turns;
                this_fiber::yield();
            }
        });
        (void)io::list_directory(path("."));
        EXPECT_GT(turns, 0);
        turns = 0;
        (void)io::status(path());
        EXPECT_GT(turns, 0);
        other.cancel();
        other.wait();
    });
}

} // namespace
} // namespace coir::test
