#include "net/resolver_fixture.hpp"
#include "scratch_file.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <netdb.h>
#include <random>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace coir::test {
namespace {

TEST_F(names, both_families_with_their_port) {
    const dns::server server{[](const dns::query& asked) -> packets {
        return {dns::response{asked}.address(asked.kind == dns::a ? "10.0.0.1" : "fd12::1")};
    }};
    coir::run([&] {
        resolver from{only(server)};
        std::vector<endpoint> found = from.resolve("Example.ORG", "https");
        ASSERT_EQ(found.size(), 2U);
        EXPECT_NE(found[0].is_v4(), found[1].is_v4());
        EXPECT_EQ(found[0].port(), 443);
        EXPECT_EQ(found[1].port(), 443);
        EXPECT_EQ(texts(from.resolve("example.org", 80, {net::address_family::v4})), list{"10.0.0.1:80"});
        EXPECT_EQ(texts(from.resolve("example.org", "81", {net::address_family::v6})), list{"[fd12::1]:81"});
    });
}

TEST_F(names, numbers_are_not_asked_for) {
    const dns::server server{[](const dns::query&) -> packets { return {}; }};
    coir::run([&] {
        resolver from{only(server)};
        EXPECT_EQ(texts(from.resolve("192.0.2.7", 5)), list{"192.0.2.7:5"});
        EXPECT_EQ(texts(from.resolve("127.1", "5")), list{"127.0.0.1:5"});
        EXPECT_EQ(texts(from.resolve("2001:db8::1", "http")), list{"[2001:db8::1]:80"});
        EXPECT_EQ(texts(from.resolve("192.0.2.7", 5, {}, deadline::passed())), list{"192.0.2.7:5"});
        std::error_code error;
        EXPECT_TRUE(from.resolve("192.0.2.7", 5, error, {net::address_family::v6}).empty());
        EXPECT_EQ(error, resolver_errc::no_data);
    });
    EXPECT_EQ(server.asked(), 0U);
}

TEST_F(names, localhost_is_this_machine) {
    const dns::server server{[](const dns::query&) -> packets { return {}; }};
    coir::run([&] {
        resolver from{only(server)};
        for (const char* name : {"localhost", "LocalHost.", "a.localhost"})
            for (const endpoint& each : from.resolve(name, 1))
                EXPECT_TRUE(each.address() == "127.0.0.1" || each.address() == "::1") << name;
    });
    EXPECT_EQ(server.asked(), 0U);
}

TEST_F(names, impossible_ones) {
    coir::run([&] {
        resolver from{only({endpoint{"127.0.0.1", 1}})};
        for (const std::string& name : {std::string{}, std::string{"."}, std::string{"a..b"}, std::string{".a"},
                                        std::string(64, 'x'), std::string(260, 'x'), std::string{"a\0b", 3}}) {
            EXPECT_EQ(failure_of(from, name), resolver_errc::bad_name) << name;
            EXPECT_EQ(failure_of(from, name), std::errc::invalid_argument) << name;
        }
        std::error_code error;
        EXPECT_TRUE(from.resolve("127.0.0.1", "no-such-service", error).empty());
        EXPECT_EQ(error, resolver_errc::unknown_service);
        for (const char* port : {"65536", "80x"}) {
            EXPECT_TRUE(from.resolve("127.0.0.1", port, error).empty());
            EXPECT_EQ(error, resolver_errc::unknown_service) << port;
        }
    });
}

TEST_F(names, errors_name_what_was_looked_for) {
    const dns::server server{[](const dns::query& asked) -> packets {
        return {dns::response{asked, asked.name == "absent.test"    ? dns::name_error
                                     : asked.name == "failing.test" ? dns::server_failure
                                     : asked.name == "refused.test" ? dns::refused
                                                                    : dns::no_error}};
    }};
    coir::run([&] {
        resolver from{only(server)};
        EXPECT_EQ(failure_of(from, "absent.test"), resolver_errc::not_found);
        EXPECT_EQ(failure_of(from, "absent.test"), std::errc::no_such_device_or_address);
        EXPECT_EQ(failure_of(from, "absent.test."), resolver_errc::not_found);
        EXPECT_EQ(failure_of(from, "empty.test"), resolver_errc::no_data);
        EXPECT_EQ(failure_of(from, "failing.test"), resolver_errc::server_failure);
        EXPECT_EQ(failure_of(from, "refused.test"), resolver_errc::refused);
        try {
            static_cast<void>(from.resolve("absent.test", 80));
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), resolver_errc::not_found);
            EXPECT_STREQ(failure.what(), "look up absent.test: no such name");
        }
    });
}

TEST_F(names, second_server_when_the_first_fails) {
    const dns::server failing{[](const dns::query& asked) -> packets {
        return {dns::response{asked, dns::server_failure}};
    }};
    const dns::server silent{[](const dns::query&) -> packets { return {}; }};
    const dns::server good{numbered};
    coir::run([&] {
        resolver after_failure{only({failing.where(), good.where()})};
        EXPECT_EQ(texts(after_failure.resolve("n7", 1)), list{"10.0.0.7:1"});
        resolver_options patient = only({silent.where(), good.where()});
        patient.timeout = 20ms;
        resolver after_silence{patient};
        EXPECT_EQ(texts(after_silence.resolve("n8", 1)), list{"10.0.0.8:1"});
    });
    EXPECT_GT(failing.asked(), 0U);
    EXPECT_GT(silent.asked(), 0U);
}

TEST_F(names, silence) {
    const dns::server silent{[](const dns::query&) -> packets { return {}; }};
    coir::run([&] {
        resolver_options impatient = only(silent);
        impatient.timeout = 10ms;
        resolver from{impatient};
        EXPECT_EQ(failure_of(from, "n1"), resolver_errc::no_answer);
        EXPECT_EQ(failure_of(from, "n1"), std::errc::timed_out);
        EXPECT_EQ(from.open_queries(), 0U);

        resolver patient{only(silent)};
        EXPECT_EQ(failure_of(patient, "n1", 5ms), std::errc::timed_out);
        EXPECT_EQ(patient.open_queries(), 0U);
        EXPECT_EQ(failure_of(patient, "n1", deadline::passed()), std::errc::timed_out);
        EXPECT_EQ(thrown_by([&] { static_cast<void>(patient.resolve("n1", 1, {}, 5ms)); }), std::errc::timed_out);
    });
    EXPECT_EQ(silent.asked("n1") % 2, 0U); // A and AAAA each time
}

TEST_F(names, nobody_listens) {
    endpoint nobody;
    {
        const dns::server gone{numbered};
        nobody = gone.where();
    }
    coir::run([&] {
        resolver from{only({nobody})};
        EXPECT_EQ(failure_of(from, "n1"), resolver_errc::unreachable);
    });
}

TEST_F(names, long_answers_come_over_tcp) {
    const dns::server server{[](const dns::query& asked) -> packets {
        dns::response made{asked};
        if (!asked.over_tcp)
            return {made.truncated()};
        for (int i = 1; i <= 250 && asked.kind == dns::a; ++i)
            made.address("10.0.1." + std::to_string(i));
        return {made};
    }};
    coir::run([&] {
        resolver from{only(server)};
        const std::vector<endpoint> found = from.resolve("long.test", 9);
        EXPECT_EQ(found.size(), 250U);
        // Two at once share the connection.
        fiber<void> other = spawn([&] { EXPECT_EQ(from.resolve("longer.test", 9).size(), 250U); });
        EXPECT_EQ(from.resolve("longest.test", 9).size(), 250U);
        other.join();
    });
}

TEST_F(names, chains_of_aliases) {
    const dns::server server{[](const dns::query& asked) -> packets {
        dns::response made{asked};
        made.alias(asked.name, "b.test").alias("b.test", "c.test").alias("c.test", "d.test");
        if (asked.kind == dns::a)
            made.address("10.0.0.4", 60, "d.test").address("10.0.0.5", 60, "d.test").address("10.0.0.4", 60, "d.test");
        return {made};
    }};
    coir::run([&] {
        resolver from{only(server)};
        EXPECT_EQ(texts(from.resolve("a.test", 1)), (list{"10.0.0.4:1", "10.0.0.5:1"}));
    });
}

// What must not be taken for an answer, or not for a good one: the true answer comes after it.
TEST_F(names, garbage) {
    std::mt19937 random{1}; // NOLINT: the same in each run
    const dns::server server{[&](const dns::query& asked) -> packets {
        const dns::packet good = numbered(asked).front();
        packets all;
        for (std::size_t size : {0U, 1U, 5U, 11U, 12U, 13U, 40U, 512U, 4000U}) {
            dns::packet noise(size);
            for (std::uint8_t& each : noise)
                each = static_cast<std::uint8_t>(random());
            all.push_back(noise);
        }
        dns::packet wrong_id = dns::response{asked}.address("10.9.9.9");
        wrong_id[0] ^= 0xff;
        all.push_back(wrong_id);
        dns::packet wrong_question = dns::response{asked}.address("10.9.9.9");
        wrong_question[13] ^= 1;
        all.push_back(wrong_question);
        for (std::size_t size = 0; size < 12; ++size)
            all.emplace_back(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        all.push_back(good);
        return all;
    }};
    coir::run([&] {
        resolver from{only(server)};
        for (int i = 0; i < 20; ++i) {
            const std::string name = 'n' + std::to_string(i);
            EXPECT_EQ(texts(from.resolve(name, 1)), list{address_of(name) + ":1"});
        }
    });
}

// With the right id and question, but the rest is nonsense: any error, or none of the addresses; and no crash.
TEST_F(names, malformed_answers) {
    const dns::server server{[](const dns::query& asked) -> packets {
        dns::packet made = dns::response{asked}.address("10.9.9.9").address("10.9.9.8");
        const std::size_t question_end = asked.bytes.size();
        if (asked.name == "loop.test") { // a name that points at itself
            made.resize(question_end);
            const auto at = static_cast<std::uint8_t>(question_end);
            for (const std::uint8_t each : {std::uint8_t{0xc0}, at, std::uint8_t{0}, std::uint8_t{1}})
                made.push_back(each);
        } else if (asked.name == "short.test") {
            made.resize(made.size() - 3);
        } else if (asked.name == "counts.test") {
            made[6] = made[7] = 0xff;
        } else {
            made[question_end + 11] = 0xff; // the length of a record
        }
        return {made};
    }};
    coir::run([&] {
        resolver from{only(server)};
        for (const char* name : {"loop.test", "short.test", "counts.test", "length.test"}) {
            const std::error_code error = failure_of(from, name);
            EXPECT_EQ(error, resolver_errc::bad_response) << name;
        }
    });
}

TEST_F(names, search_list) {
    const dns::server server{[](const dns::query& asked) -> packets {
        return asked.name == "host.b.test" ? numbered(asked) : packets{dns::response{asked, dns::name_error}};
    }};
    coir::run([&] {
        resolver_options options = only(server);
        options.search = {"a.test", "b.test"};
        options.dots = 1;
        resolver from{options};
        EXPECT_EQ(from.resolve("host", 1).size(), 1U);
        EXPECT_EQ(server.asked("host.a.test"), 2U);
        EXPECT_EQ(server.asked("host"), 0U); // found before
        EXPECT_EQ(failure_of(from, "host."), resolver_errc::not_found);
        EXPECT_EQ(server.asked("host"), 2U);
        EXPECT_EQ(server.asked("host.a.test"), 2U);
        EXPECT_EQ(failure_of(from, "other"), resolver_errc::not_found);
    });
}

// As getaddrinfo() does; c-ares would give up there.
TEST_F(names, search_list_goes_on_behind_servers_that_fail) {
    const dns::server server{[](const dns::query& asked) -> packets {
        if (asked.name.ends_with(".a.test") || asked.name == "n8.x" || asked.name == "n9")
            return {dns::response{asked, asked.name.starts_with('r') ? dns::refused : dns::server_failure}};
        return asked.name.ends_with(".c.test") && asked.name.starts_with('n')
                   ? numbered(asked)
                   : packets{dns::response{asked, dns::name_error}};
    }};
    coir::run([&] {
        resolver_options options = only(server);
        options.search = {"a.test", "B.test", "c.test", "d.test"};
        options.dots = 1;
        resolver from{options};
        EXPECT_EQ(texts(from.resolve("n7", 1)), list{"10.0.0.7:1"});
        EXPECT_EQ(server.asked("n7.b.test"), 2U); // once each
        EXPECT_EQ(server.asked("n7.d.test") + server.asked("n7"), 0U);
        EXPECT_EQ(texts(from.resolve("n7", 2)), list{"10.0.0.7:2"}); // in the cache
        EXPECT_EQ(server.asked("n7.c.test"), 2U);
        EXPECT_EQ(texts(from.resolve("n6", 1, {net::address_family::v4})), list{"10.0.0.6:1"});
        // With as many dots, the name itself comes first.
        EXPECT_EQ(texts(from.resolve("n8.x", 1)), list{"10.0.0.8:1"});
        EXPECT_GT(server.asked("n8.x.a.test"), 0U);
        // Nowhere else: nobody knows whether it is where the servers fail, and so it is not remembered.
        for (const std::size_t times : {1U, 2U}) {
            EXPECT_EQ(failure_of(from, "gone"), resolver_errc::server_failure);
            EXPECT_EQ(server.asked("gone"), 2 * times); // last
        }
        // No list.
        EXPECT_EQ(failure_of(from, "n9."), resolver_errc::server_failure);
        EXPECT_EQ(server.asked("n9.b.test"), 0U);
        // A server that does not want to is not one that cannot.
        EXPECT_EQ(failure_of(from, "r"), resolver_errc::refused);
        EXPECT_EQ(server.asked("r.b.test"), 0U);
    });
}

// Of several servers the others are asked before the next domain is.
TEST_F(names, search_list_and_several_servers) {
    const dns::server failing{[](const dns::query& asked) -> packets {
        return {dns::response{asked, dns::server_failure}};
    }};
    const dns::server good{[](const dns::query& asked) -> packets {
        return asked.name == "n5.b.test" ? numbered(asked) : packets{dns::response{asked, dns::name_error}};
    }};
    coir::run([&] {
        resolver_options options = only({failing.where(), good.where()});
        options.search = {"a.test", "b.test"};
        options.dots = 1;
        resolver from{options};
        EXPECT_EQ(texts(from.resolve("n5", 1)), list{"10.0.0.5:1"});
        EXPECT_EQ(failure_of(from, "gone"), resolver_errc::not_found);
    });
}

TEST_F(names, hosts_file_comes_first) {
    const dns::server server{numbered};
    const scratch_file hosts{
        "# comment\n10.1.1.1 One one.test # two.test\n\n10.1.1.2 one.test\nnonsense one.test\n10.1.1.3\n"};
    coir::run([&] {
        resolver_options options = only(server);
        options.hosts_file = hosts.path();
        resolver from{options};
        EXPECT_EQ(texts(from.resolve("ONE.test", 1)), (list{"10.1.1.1:1", "10.1.1.2:1"}));
        EXPECT_EQ(texts(from.resolve("one.", 1)), list{"10.1.1.1:1"});
        EXPECT_EQ(from.name_of({"10.1.1.1", 5}), "One");
        EXPECT_EQ(server.asked(), 0U);
        EXPECT_EQ(texts(from.resolve("n2", 1)), list{"10.0.0.2:1"});
        EXPECT_EQ(server.asked("n2"), 2U);
    });
}

TEST_F(names, servers_of_the_configuration_file) {
    // Port 53 is not ours to use; so what is looked at is that the file is read.
    const scratch_file configuration{"nameserver 127.0.0.1\noptions timeout:1 attempts:1\nsearch x.test\n"};
    coir::run([&] {
        resolver_options options;
        options.configuration = configuration.path();
        options.hosts_file = "/nonexistent";
        resolver from{options};
        const auto start = std::chrono::steady_clock::now();
        EXPECT_TRUE(failure_of(from, "n1.test."));
        EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
    });
}

TEST_F(names, names_of_addresses) {
    const dns::server server{[](const dns::query& asked) -> packets {
        if (asked.kind == dns::ptr && asked.name == "4.3.2.10.in-addr.arpa")
            return {dns::response{asked}.pointer("four.test")};
        if (asked.kind == dns::ptr && asked.name.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"))
            return {dns::response{asked}.pointer("six.test")};
        return {dns::response{asked, asked.name.starts_with("9.") ? dns::refused : dns::name_error}};
    }};
    coir::run([&] {
        resolver from{only(server)};
        EXPECT_EQ(from.name_of({"10.2.3.4", 80}, 5s), "four.test");
        EXPECT_EQ(from.name_of({"2001:db8::1", 0}, 5s), "six.test");
        std::error_code error;
        EXPECT_EQ(from.name_of({"10.2.3.5", 80}, error), "");
        EXPECT_EQ(error, resolver_errc::not_found);
        EXPECT_EQ(from.name_of({"10.2.3.9", 80}, error), "");
        EXPECT_EQ(error, resolver_errc::refused);
        try {
            static_cast<void>(from.name_of({"10.2.3.5", 80}));
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_STREQ(failure.what(), "look up the name of 10.2.3.5: no such name");
        }
    });
}

} // namespace
} // namespace coir::test
