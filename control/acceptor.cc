#include "control/acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

// How long the listener rests after accept() failed for want of descriptors or memory.
constexpr int kAcceptRestMs = 100;
// After so many connections in a row the acceptor rests, so that a flood of them costs a bounded share of a processor.
constexpr int kBatch = 64;
constexpr int kBatchRestMs = 5;
// How often callers' conduct is looked at while somebody is connected.
constexpr std::chrono::milliseconds kConductPeriod(250);

struct Peer {
  ucred credentials{};
  std::vector<gid_t> groups;  // all of them
};

absl::StatusOr<Peer> PeerOf(const UniqueFd& connection) {
  Peer peer;
  socklen_t length = sizeof(peer.credentials);
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer.credentials, &length) != 0) {
    return ErrnoStatus(errno, "SO_PEERCRED");
  }
  // As they were when the peer connected. ERANGE says how many there are.
  length = 0;
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERGROUPS, nullptr, &length) != 0 && errno == ERANGE) {
    peer.groups.resize(length / sizeof(gid_t));
    if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) != 0) {
      return ErrnoStatus(errno, "SO_PEERGROUPS");
    }
  }
  peer.groups.push_back(peer.credentials.gid);
  return peer;
}

}  // namespace

void Acceptor::Run() {
  ConnectionTable& connections = principals_->connections();
  auto next_check = ConnectionTable::Clock::now();
  auto next_look = next_check;
  for (;;) {
    // Negative descriptors are passed over.
    std::vector<pollfd> waits = {{.fd = stop_->fd(), .events = POLLIN, .revents = 0},
                                 {.fd = unix_listener_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = tcp_listener_.get(), .events = POLLIN, .revents = 0}};
    const size_t own = waits.size();
    connections.AppendPollFds(&waits);
    const int timeout = connections.size() == 0 ? -1 : static_cast<int>(kConductPeriod.count());
    if (poll(waits.data(), waits.size(), timeout) < 0 && errno != EINTR) {
      LOG(kError) << "control: no further connection: " << std::string(ErrnoStatus(errno, "poll").message());
      return;
    }
    if (waits[0].revents != 0) return;
    connections.Reap(std::span(waits).subspan(own));
    const auto now = ConnectionTable::Clock::now();
    if (now >= next_look) {
      principals_->CutAbusive(now);
      next_look = now + kConductPeriod;
    }
    if (now >= next_check) {
      connections.CutStalled(now);
      next_check = now + connections.CheckPeriod();
    }
    const bool unix_done = waits[1].revents == 0 || AcceptSome(unix_listener_, /*tcp=*/false);
    const bool tcp_done = waits[2].revents == 0 || AcceptSome(tcp_listener_, /*tcp=*/true);
    if (!unix_done || !tcp_done) Rest(kBatchRestMs);
  }
}

bool Acceptor::AcceptSome(const UniqueFd& listener, bool tcp) {
  for (int i = 0; i < kBatch; ++i) {
    UniqueFd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      if (tcp) {
        TakeTcp(std::move(connection));
      } else {
        TakeUnix(std::move(connection));
      }
      continue;
    }
    if (errno == EAGAIN) return true;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      LOG_LIMITED(kWarning) << std::string(ErrnoStatus(errno, "control: accept").message());
      Rest(kAcceptRestMs);
      return true;
    }
    // Else the connection is at fault (accept(2) passes on the errors of the network), or it was a signal.
  }
  return false;
}

void Acceptor::TakeUnix(UniqueFd connection) {
  const absl::StatusOr<Peer> peer = PeerOf(connection);
  if (!peer.ok()) {
    LOG_LIMITED(kWarning) << "control: refused a connection: " << std::string(peer.status().message());
    return;
  }
  const ucred& who = peer->credentials;
  const std::optional<Role> role = access_.OfPeer(who.uid, peer->groups);
  if (!role) {
    LOG_LIMITED(kWarning) << "control: refused a connection of uid " << who.uid << ", pid " << who.pid
                          << ": no --control-allow lists it";
    return;
  }
  const absl::Status taken = principals_->Take(who.uid, *role, std::move(connection));
  if (!taken.ok()) {
    LOG_LIMITED(kWarning) << "control: refused a connection of uid " << who.uid << ", pid " << who.pid << ": "
                          << std::string(taken.message());
  }
}

void Acceptor::TakeTcp(UniqueFd connection) {
  const int on = 1;
  setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const absl::Status taken = principals_->TakeTcp(std::move(connection));
  if (!taken.ok()) {
    LOG_LIMITED(kWarning) << "control: refused a TCP connection: " << std::string(taken.message());
  }
}

void Acceptor::Rest(int milliseconds) {
  pollfd rest = {.fd = stop_->fd(), .events = POLLIN, .revents = 0};
  poll(&rest, 1, milliseconds);
}

}  // namespace daxvmm::control
