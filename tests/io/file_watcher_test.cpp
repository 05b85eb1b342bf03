// What happens to files.

#include "io/descriptors.hpp"
#include "scratch_folder.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/file_watcher.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::run;
using coir::spawn;
using coir::io::contains;
using coir::io::file_change;
using coir::io::file_event;
using coir::io::file_watch;
using coir::io::file_watcher;
using coir::test::error_of;
using coir::test::thrown_by;
namespace fs = std::filesystem;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class file_watcher_test : public coir::test::descriptors {
protected:
    void write(const std::string& name) const { std::ofstream{place / name} << "text"; }

    coir::test::scratch_folder folder;
    const fs::path& place = folder.path();
};

bool is(const file_event& event, file_watch watch, file_change what, const std::string& name = {}) {
    return event.watch == watch && event.what == what && event.name == name;
}

TEST_F(file_watcher_test, tells_what_happens_in_a_directory) {
    run([this] {
        file_watcher watcher;
        const file_watch watch = watcher.add(place, file_change::all);
        const std::string longest(255, 'n');
        write(longest);
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::created, longest));
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::opened, longest));
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::modified, longest));
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::closed_after_writing, longest));
        fs::permissions(place / longest, fs::perms::owner_all);
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::attributes, longest));
        fs::remove(place / longest);
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::removed, longest));
        fs::create_directory(place / "d");
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::created | file_change::is_directory, "d"));
        EXPECT_EQ(thrown_by([&] { watcher.next(1ms); }), std::errc::timed_out);
    });
}

TEST_F(file_watcher_test, tells_only_what_was_asked_for) {
    run([this] {
        file_watcher watcher;
        write("file");
        const file_watch watch = watcher.add(place / "file", file_change::attributes);
        EXPECT_NE(watch, file_watch::none);
        write("file");
        fs::permissions(place / "file", fs::perms::owner_all);
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::attributes));
        EXPECT_EQ(error_of([&](auto& error) { watcher.next(error, coir::deadline::passed()); }), std::errc::timed_out);
    });
}

TEST_F(file_watcher_test, tells_both_halves_of_a_rename) {
    run([this] {
        file_watcher watcher;
        write("old");
        const file_watch watch = watcher.add(place, file_change::moved);
        fs::rename(place / "old", place / "new");
        const file_event from = watcher.next(20s);
        const file_event to = watcher.next(20s);
        EXPECT_TRUE(is(from, watch, file_change::moved_from, "old"));
        EXPECT_TRUE(is(to, watch, file_change::moved_to, "new"));
        EXPECT_NE(from.pair, 0U);
        EXPECT_EQ(from.pair, to.pair);
    });
}

TEST_F(file_watcher_test, tells_when_what_it_watches_is_gone) {
    run([this] {
        file_watcher watcher;
        fs::create_directory(place / "d");
        const file_watch watch = watcher.add(place / "d", file_change::self_removed | file_change::self_moved);
        fs::rename(place / "d", place / "e");
        EXPECT_TRUE(contains(watcher.next(20s).what, file_change::self_moved));
        fs::remove(place / "e");
        EXPECT_TRUE(contains(watcher.next(20s).what, file_change::self_removed));
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::unwatched));
        EXPECT_EQ(thrown_by([&] { watcher.remove(watch); }), std::errc::invalid_argument);
    });
}

TEST_F(file_watcher_test, ends_a_watch_after_what_had_happened) {
    run([this] {
        file_watcher watcher;
        const file_watch watch = watcher.add(place, file_change::created);
        write("a");
        watcher.remove(watch);
        write("b");
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::created, "a"));
        EXPECT_TRUE(is(watcher.next(20s), watch, file_change::unwatched));
        EXPECT_EQ(thrown_by([&] { watcher.next(coir::deadline::passed()); }), std::errc::timed_out);
        const file_watch again = watcher.add(place, file_change::created);
        EXPECT_NE(again, watch);
        EXPECT_EQ(error_of([&](auto& error) { watcher.add(place.string() + "/.", file_change::removed, error); }),
                  std::errc::file_exists);
    });
}

TEST_F(file_watcher_test, says_that_something_is_lost) {
    run([this] {
        std::size_t room = 0;
        std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> room;
        if (room == 0 || room > 50'000)
            GTEST_SKIP() << "the queue is too long to be filled";
        file_watcher watcher;
        watcher.add(place, file_change::attributes);
        write("a");
        write("b");
        for (std::size_t i = 0; i <= room; ++i) // two in turn, since the same event twice in a row is one
            ::chmod((place / (i % 2 == 0 ? "a" : "b")).c_str(), 0600);
        std::size_t seen = 0;
        file_event event = watcher.next(20s);
        for (; event.what == file_change::attributes; ++seen)
            event = watcher.next(20s);
        EXPECT_EQ(seen, room);
        EXPECT_TRUE(is(event, file_watch::none, file_change::lost));
        write("c"); // and it goes on
        ::chmod((place / "c").c_str(), 0600);
        EXPECT_EQ(watcher.next(20s).name, "c");
    });
}

// One read returns several events.
TEST_F(file_watcher_test, gives_each_event_to_one_of_those_who_wait) {
    run([this] {
        file_watcher watcher;
        watcher.add(place, file_change::created);
        std::vector<fiber<std::string>> waiting;
        for (int i = 0; i < 5; ++i)
            waiting.push_back(spawn([&] { return watcher.next(20s).name; }));
        this_fiber::yield();
        file_watcher moved = std::move(watcher); // they wait on
        for (int i = 0; i < 7; ++i)
            write(std::to_string(i));
        for (int i = 0; i < 5; ++i)
            EXPECT_EQ(waiting[static_cast<std::size_t>(i)].join(), std::to_string(i));
        EXPECT_EQ(moved.next(20s).name, "5");
        EXPECT_EQ(moved.next(coir::deadline::passed()).name, "6");
    });
}

TEST_F(file_watcher_test, can_be_cancelled_and_destroyed_while_waiting) {
    run([this] {
        std::optional<file_watcher> watcher{std::in_place};
        watcher->add(place, file_change::created);
        fiber<void> waiting = spawn([&] {
            EXPECT_EQ(error_of([&](auto& error) { watcher->next(error); }), std::errc::operation_canceled);
            watcher->next();
        });
        this_fiber::yield();
        waiting.cancel();
        EXPECT_THROW(waiting.join(), coir::cancelled);
        waiting = spawn([&] { watcher->next(); });
        this_fiber::yield();
        watcher.reset();
        EXPECT_EQ(thrown_by([&] { waiting.join(); }), std::errc::bad_file_descriptor);
    });
}

TEST_F(file_watcher_test, names_what_it_cannot_watch) {
    run([this] {
        file_watcher watcher;
        try {
            watcher.add("/nowhere", file_change::all);
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_STREQ(failure.what(), "watch /nowhere: No such file or directory");
        }
        EXPECT_EQ(thrown_by([&] { watcher.add(place, file_change::none); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] {
                      watcher.add(std::string{"/\0b", 3}, file_change::all);
                  }),
                  std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { watcher.remove(file_watch{77}); }), std::errc::invalid_argument);
        file_watcher moved = std::move(watcher);
        EXPECT_EQ(thrown_by([&] { watcher.add(place, file_change::all); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { watcher.remove(file_watch{1}); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { watcher.next(); }), std::errc::bad_file_descriptor);

        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit none = before;
        none.rlim_cur = 0;
        ::setrlimit(RLIMIT_NOFILE, &none);
        const std::error_code thrown = thrown_by([] { file_watcher{}; });
        const std::error_code reported = error_of([](auto& error) { file_watcher{error}; });
        ::setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_EQ(thrown, std::errc::too_many_files_open);
        EXPECT_EQ(reported, std::errc::too_many_files_open);
    });
    EXPECT_THROW(file_watcher{}, std::logic_error);
    EXPECT_EQ(error_of([](auto& error) { file_watcher{error}; }), std::errc::operation_not_permitted);
}

} // namespace
