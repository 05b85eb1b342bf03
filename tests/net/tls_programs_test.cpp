#include "net/tls_pair.hpp"
#include "scratch_folder.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>

/// The program `openssl` as the other side.
namespace coir::test {
namespace {

using net::tls_stream;

// A program with pipes to its standard input and output.
class program {
public:
    explicit program(const std::vector<std::string>& command) {
        ends in = make_pipe();
        ends out = make_pipe();
        std::vector<char*> words;
        for (const std::string& word : command)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        id_ = fork_dependent();
        if (id_ == 0) {
            ::dup2(in.read.get(), STDIN_FILENO);
            ::dup2(out.write.get(), STDOUT_FILENO);
            ::dup2(out.write.get(), STDERR_FILENO);
            ::execvp(words.front(), words.data());
            ::_exit(127);
        }
        input_ = io::descriptor{in.write.take()};
        output_ = io::descriptor{out.read.take()};
    }
    ~program() { end(SIGKILL); }
    program(const program&) = delete;
    program& operator=(const program&) = delete;

    void write(std::string_view text) { input_.write_all(bytes_of(text), 20s); }
    void end_input() { input_.close(); }

    /// Reads until `text` has come; all that has come since the start. Less at the end, or after a while.
    std::string& read_until(std::string_view text) {
        while (said_.find(text) == std::string::npos && read_more()) {}
        return said_;
    }
    bool read_more() {
        std::array<std::byte, 4096> buffer{};
        std::error_code error;
        const std::size_t n = output_.read_some(buffer, error, 20s);
        said_ += text_of(std::span{buffer}.first(n));
        return n != 0;
    }
    std::string& read_all() { return read_until("there is no such text"); }

    int end(int signal) {
        int status = 0;
        if (id_ > 0) {
            ::kill(id_, signal);
            ::waitpid(std::exchange(id_, -1), &status, 0);
        }
        return status;
    }

private:
    pid_t id_;
    io::descriptor input_;
    io::descriptor output_;
    std::string said_;
};

class tls_programs : public descriptors {
protected:
    tls_programs() {
        const net::tls_identity identity = trusted_authority().issue();
        file("certificate.pem", identity.certificate_pem);
        file("key.pem", identity.key_pem);
        file("authority.pem", trusted_authority().pem());
    }
    void SetUp() override {
        if (std::system("openssl version >/dev/null 2>&1") != 0)
            GTEST_SKIP() << "no program openssl";
        descriptors::SetUp();
    }
    void TearDown() override {
        if (!IsSkipped())
            descriptors::TearDown();
    }

    void file(const std::string& name, const std::string& text) { std::ofstream{folder_.path() / name} << text; }
    std::string path(const std::string& name) { return (folder_.path() / name).string(); }

    scratch_folder folder_;
};

TEST_F(tls_programs, s_client_against_our_server) {
    coir::run([&] {
        for (const char* version : {"-tls1_2", "-tls1_3"}) {
            net::tcp_listener listener{"127.0.0.1", 0};
            program client{{"openssl", "s_client", "-connect", listener.local_endpoint().to_string(), version,
                            "-CAfile", path("authority.pem"), "-servername", "localhost", "-verify_hostname",
                            "localhost", "-verify_return_error", "-alpn", "h2,http/1.1", "-quiet", "-no_ign_eof"}};
            tls_stream server{server_of(trusted_authority().issue(), {"http/1.1"}), listener.accept(20s)};
            server.handshake(20s);
            EXPECT_EQ(server.server_name(), "localhost");
            EXPECT_EQ(server.protocol(), "http/1.1");
            EXPECT_EQ(server.version(), std::string{version} == "-tls1_2" ? "TLSv1.2" : "TLSv1.3");
            client.write("from s_client\n");
            std::array<std::byte, 14> buffer{};
            EXPECT_EQ(server.read_all(buffer, 20s), buffer.size());
            EXPECT_EQ(text_of(buffer), "from s_client\n");
            server.write_all(bytes_of("from coir\n"), 20s);
            EXPECT_NE(client.read_until("from coir\n").find("from coir\n"), std::string::npos);
            client.end_input();
            EXPECT_EQ(server.read_some(buffer, 20s), 0U) << "close_notify";
            server.close();
        }
    });
}

TEST_F(tls_programs, our_client_against_s_server) {
    coir::run([&] {
        for (const char* version : {"-tls1_2", "-tls1_3"}) {
            program server{{"openssl", "s_server", "-accept", "127.0.0.1:0", version, "-cert", path("certificate.pem"),
                            "-key", path("key.pem"), "-alpn", "http/1.1", "-rev"}};
            const std::string& said = server.read_until("ACCEPT 127.0.0.1:");
            if (said.find("ACCEPT") == std::string::npos)
                GTEST_SKIP() << "this s_server does not say where it listens: " << said;
            const std::size_t start = said.find("ACCEPT");
            while (said.find('\n', start) == std::string::npos && server.read_more()) {}
            const auto port = static_cast<std::uint16_t>(std::stoul(said.substr(said.find(':', start) + 1)));
            const net::tls_context context = trusting_client({"http/1.1"});
            net::tls_session session;
            for (const bool reused : {false, true}) {
                tls_stream client{context, net::tcp_stream{net::endpoint{"127.0.0.1", port}, 20s}, "localhost",
                                  session};
                client.handshake(20s);
                EXPECT_EQ(client.session_reused(), reused) << version;
                EXPECT_EQ(client.protocol(), "http/1.1");
                client.write_all(bytes_of("stressed\n"), 20s);
                std::array<std::byte, 9> buffer{};
                EXPECT_EQ(client.read_all(buffer, 20s), buffer.size());
                EXPECT_EQ(text_of(buffer), "desserts\n"); // "-rev"
                session = client.session();
                client.shutdown_write(20s);
                EXPECT_EQ(client.read_some(buffer, 20s), 0U) << "close_notify";
            }
        }
    });
}

TEST_F(tls_programs, much_to_s_client) {
    coir::run([&] {
        net::tcp_listener listener{"127.0.0.1", 0};
        program client{{"openssl", "s_client", "-connect", listener.local_endpoint().to_string(), "-quiet", "-CAfile",
                        path("authority.pem")}};
        tls_stream server{good_server(), listener.accept(20s)};
        std::string much;
        for (int i = 0; much.size() < 2'000'000; ++i)
            much += "line " + std::to_string(i) + '\n';
        auto writer = spawn([&] {
            server.write_all(bytes_of(much), 20s);
            server.close();
        });
        const std::string& said = client.read_all();
        EXPECT_EQ(said.substr(said.find("line 0\n")), much);
        writer.join();
    });
}

} // namespace
} // namespace coir::test
