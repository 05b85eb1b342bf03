#include "file_store.hpp"

#include <coir/run.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace {

using namespace http_server;
namespace fs = std::filesystem;

/// A root with one file, which has just been written.
struct FileStore : testing::Test {
    FileStore() {
        fs::create_directories(root);
        std::ofstream{root / "file"} << "text";
    }
    ~FileStore() override { fs::remove_all(root); }

    fs::path root = fs::temp_directory_path() / ("file_store." + std::to_string(::getpid()));
    std::time_t now = std::time(nullptr);
    target_path path{"file"};
};

TEST_F(FileStore, KeepsAFileThatHasNotChangedForAWhile) {
    coir::run([this] {
        file_store files{root.string()};
        const content_pointer first = files.find(path, now + 10).what.text;
        EXPECT_EQ(files.find(path, now + 11).what.text, first) << "looked at again, not read again";
    });
}

// What is known of a file may be the same after a second change within a tick of the file system's clock.
TEST_F(FileStore, ReadsAFileAgainThatHadJustChanged) {
    coir::run([this] {
        file_store files{root.string()};
        const content_pointer young = files.find(path, now).what.text;
        EXPECT_EQ(files.find(path, now).what.text, young) << "once a second";
        const content_pointer old = files.find(path, now + 10).what.text;
        EXPECT_NE(old, young);
        EXPECT_EQ(files.find(path, now + 11).what.text, old);
    });
}

// Else it could end its line of the answer, or its text of the page, and begin another.
TEST_F(FileStore, TheNameOfADirectoryIsOnlyAName) {
    coir::run([this] {
        const std::string name = "a\r\n<b>";
        fs::create_directory(root / name);
        file_store files{root.string()};
        const stored elsewhere = files.find({name}, now);
        EXPECT_EQ(elsewhere.status, HTTP_STATUS_MOVED_PERMANENTLY);
        EXPECT_NE(elsewhere.what.text->with_body().find("Location: /a%0D%0A%3Cb%3E/\r\n"), std::string_view::npos);
        const stored page = files.find({name, true}, now);
        EXPECT_NE(page.what.text->with_body().find("&lt;b&gt;</h1>"), std::string_view::npos);
        EXPECT_EQ(page.what.text->with_body().find("<b>"), std::string_view::npos);
    });
}

TEST_F(FileStore, IsFreshForASecond) {
    coir::run([this] {
        file_store files{root.string()};
        EXPECT_EQ(files.find_fresh(path, now), nullptr);
        (void)files.find(path, now);
        ASSERT_NE(files.find_fresh(path, now), nullptr);
        EXPECT_EQ(files.find_fresh(path, now + 1), nullptr);
        EXPECT_EQ(files.find_fresh({"file", true}, now), nullptr) << "file/ is no file";
    });
}

} // namespace
