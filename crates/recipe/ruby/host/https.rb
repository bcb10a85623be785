# frozen_string_literal: true

# Ruby's OpenSSL is built without TLS. What Net::HTTP, and with it open-uri, sends over HTTPS the host sends.
require 'openssl'

module OpenSSL
  module SSL
    VERIFY_NONE = 0
    VERIFY_PEER = 1
    VERIFY_FAIL_IF_NO_PEER_CERT = 2
    VERIFY_CLIENT_ONCE = 4
    OP_ALL = 0
    TLS1_VERSION = 0x301
    TLS1_2_VERSION = 0x303
    TLS1_3_VERSION = 0x304
    class SSLError < OpenSSLError; end

    # Code sets it and hands it on; the host decides by what stands in Net::HTTP itself.
    class SSLContext
      METHODS = %i[TLSv1_2 TLS].freeze
      DEFAULT_PARAMS = {}.freeze
      attr_accessor :verify_mode, :ca_file, :ca_path, :cert, :key, :cert_store, :min_version, :max_version, :ciphers, :verify_hostname, :ssl_version

      def set_params(params = {}) = params.each { |name, value| instance_variable_set(:"@#{name}", value) }
    end
  end
end

# The host knows authorities as PEM.
class OpenSSL::X509::Store
  def jetpack_authorities = @jetpack_authorities ||= []

  module Remembered
    def add_file(file)
      jetpack_authorities << File.read(file)
      super
    end

    def add_path(folder)
      jetpack_authorities.concat(Dir.glob("#{folder}/*.{pem,crt}").sort.map { |file| File.read(file) })
      super
    end

    def add_cert(certificate)
      jetpack_authorities << certificate.to_pem
      super
    end
  end
  prepend Remembered
end
require 'net/http'
require 'net/http/status'
$LOADED_FEATURES.push('net/https.rb')

class Net::HTTP
  # What the host answers is read as if it came from a connection.
  module OverHost
    private

    def connect
      return super unless use_ssl?
      raise NotImplementedError, 'certificates of clients (`cert`, `key`) are not supported in recipes' if cert || key
    end

    def transport_request(request)
      return super unless use_ssl?

      request.update_uri(address, port, true)
      socket = Net::BufferedIO.new(over_host(request))
      answer = Net::HTTPResponse.read_new(socket)
      answer.decode_content = request.decode_content
      answer.body_encoding = @response_body_encoding
      answer.uri = request.uri
      answer.reading_body(socket, request.response_body_permitted?) { yield answer if block_given? }
      answer
    end

    # The host frames the body and chooses the encodings.
    OF_THE_HOST = %w[accept-encoding connection content-length host transfer-encoding].freeze

    def over_host(request)
      body = body_of(request)
      host = address.include?(':') && !address.start_with?('[') ? "[#{address}]" : address
      headers = request.each_capitalized.reject { |name, _| OF_THE_HOST.include?(name.downcase) }
      (status, fields), answer = Jetpack.call(
        'https',
        { method: request.method, url: "https://#{host}:#{port}#{request.path}", headers: headers,
          verify: verify_mode != OpenSSL::SSL::VERIFY_NONE, authorities: authorities, timeout: [open_timeout, read_timeout].compact.max },
        body
      )
      framed = %w[connection transfer-encoding]
      framed << 'content-length' if request.response_body_permitted?
      head = ["HTTP/1.1 #{status} #{Net::HTTP::STATUS_CODES[status]}"]
      fields.each { |name, value| head << "#{name}: #{value}" unless framed.include?(name) }
      head << "content-length: #{answer.bytesize}" if request.response_body_permitted?
      StringIO.new("#{head.join("\r\n")}\r\n\r\n".b << answer)
    end

    # Nil for those of the machine.
    def authorities
      given = cert_store.respond_to?(:jetpack_authorities) ? cert_store.jetpack_authorities.dup : []
      given << File.read(ca_file) if ca_file
      given.concat(Dir.glob("#{ca_path}/*.{pem,crt}").sort.map { |file| File.read(file) }) if ca_path
      given.join("\n") unless given.empty?
    end

    def body_of(request)
      return request.body_stream.read.b if request.body_stream

      # Forms are put together when they are written.
      written = StringIO.new(''.b)
      request.exec(Net::BufferedIO.new(written), '1.1', request.path)
      written.string.split("\r\n\r\n", 2)[1].to_s
    end
  end
  prepend OverHost
end
