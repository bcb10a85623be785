# frozen_string_literal: true

# As much of `socket` as recipes, IPAddr and Net::HTTP use. The host opens connections as files below /dev/tcp.
$LOADED_FEATURES.push('socket.rb', 'socket.so', 'io/console.rb', 'io/wait.rb', 'syslog.rb')
class SocketError < StandardError; end
class BasicSocket < IO; end

class Socket < BasicSocket
  AF_UNSPEC = 0
  AF_UNIX = 1
  AF_INET = 2
  AF_INET6 = 10
  SOCK_STREAM = 1
  SOCK_DGRAM = 2
  IPPROTO_TCP = 6
  TCP_NODELAY = 1
  SOL_SOCKET = 1
  SO_KEEPALIVE = 9
  class ResolutionError < SocketError; end

  module Constants
    AF_INET = 2
    AF_INET6 = 10
  end

  class << self
    def gethostname = Jetpack.call('uname')['nodename']
    def gethostbyname(name) = [name, [], AF_INET, IPSocket.getaddress(name)]
    def tcp(host, port, *, **, &) = TCPSocket.open(host, port, &)
  end
end

class IPSocket < BasicSocket
  def self.getaddress(name) = Jetpack.call('resolve', name)
end

class TCPSocket < IPSocket
  # What a connection can do beside reading and writing.
  module Connection
    def setsockopt(*) = 0
    def close_write = nil
    def peeraddr(*) = ['AF_INET', @jetpack_peer[1], @jetpack_peer[0], @jetpack_peer[0]]
  end

  class << self
    def new(host, port, *, **)
      io = File.jetpack_new("/dev/tcp/#{host}/#{port}", 'r+b')
      io.sync = true
      io.instance_variable_set(:@jetpack_peer, [host.to_s, port.to_i])
      io.extend(Connection)
    end

    def open(...)
      socket = new(...)
      return socket unless block_given?

      begin
        yield socket
      ensure
        socket.close
      end
    end
  end
end

class UNIXSocket < BasicSocket; end
require 'ipaddr'
