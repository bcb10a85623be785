# frozen_string_literal: true

# What was removed from Ruby or Chef and is still used by public cookbooks works, with one warning each.
class << File
  def exists?(path)
    Chef.deprecated(:exists, '`File.exists?` is gone since Ruby 3.2; write `File.exist?`')
    exist?(path)
  end
end

class << Dir
  def exists?(path)
    Chef.deprecated(:exists, '`Dir.exists?` is gone since Ruby 3.2; write `Dir.exist?`')
    exist?(path)
  end
end

module URI
  class << self
    def escape(text, unsafe = nil)
      Chef.deprecated(:uri, '`URI.escape` is gone since Ruby 3.0; write `URI::DEFAULT_PARSER.escape`')
      unsafe ? DEFAULT_PARSER.escape(text, unsafe) : DEFAULT_PARSER.escape(text)
    end
    alias encode escape

    def unescape(text)
      Chef.deprecated(:uri, '`URI.unescape` is gone since Ruby 3.0; write `URI::DEFAULT_PARSER.unescape`')
      DEFAULT_PARSER.unescape(text)
    end
    alias decode unescape
  end
end

class ERB
  class << self
    alias jetpack_new new
    # The positional arguments of old: ERB.new(text, safe_level, trim_mode).
    def new(text, *old, **options)
      return jetpack_new(text, **options) if old.empty?

      Chef.deprecated(:erb, '`ERB.new` takes no positional arguments since Ruby 4; write `trim_mode:`')
      jetpack_new(text, trim_mode: old[1], **options)
    end
  end
end

class Object
  def untaint = self
  def taint = self
  def tainted? = false
end

class Array
  def to_ordered_hash = to_h
end

class Integer
  Fixnum = Integer
end
Fixnum = Integer unless Object.const_defined?(:Fixnum)
Bignum = Integer unless Object.const_defined?(:Bignum)

module Kernel
  # `open(url)` of open-uri.
  alias jetpack_open open
  def open(name, *rest, **options, &block)
    return jetpack_open(name, *rest, **options, &block) unless name.respond_to?(:to_str) && name.to_str.match?(%r{\Ahttps?://})

    Chef.deprecated(:open, '`open` of a URL is gone since Ruby 3.0; write `URI.open`')
    require 'open-uri'
    URI.open(name, *rest, **options, &block)
  end
  private :open
end

class String
  # `"…".is_utf8?` and friends of ActiveSupport are not there; `blank?` is used often enough.
  def blank? = strip.empty?
end

class NilClass
  def blank? = true
end
