# frozen_string_literal: true

module Jetpack
  # A time zone as Time wants one: the host says which offset is in force.
  class Zone
    class << self
      attr_reader :current

      def use(name) = @current = name == 'UTC' ? nil : new(name)
    end
    attr_reader :name

    def initialize(name)
      @name = name
      @known = {}
    end

    def offset(seconds, local) = @known[[seconds / 900, local]] ||= Jetpack.call('zone', [@name, seconds, local])
    def utc_to_local(time) = time + offset(time.to_i, false)[0]
    def local_to_utc(time) = time - offset(time.to_i, true)[0]
    def abbr(time) = offset(time.to_i, false)[1]
    def dst?(time) = offset(time.to_i, false)[2]
  end
end

class Time
  class << self
    alias jetpack_now now
    alias jetpack_at at
    alias jetpack_local local

    def now(in: Jetpack::Zone.current) = (zone = binding.local_variable_get(:in)) ? jetpack_now(in: zone) : jetpack_now

    def at(*time, in: Jetpack::Zone.current)
      (zone = binding.local_variable_get(:in)) ? jetpack_at(*time, in: zone) : jetpack_at(*time)
    end

    def local(*time)
      return jetpack_local(*time) unless (zone = Jetpack::Zone.current)

      time = time.values_at(5, 4, 3, 2, 1, 0) if time.size == 10
      year, month, day, hour, minute, second, microsecond = time
      second = (second || 0) + (microsecond ? Rational(microsecond, 1_000_000) : 0)
      Time.new(year, month || 1, day || 1, hour || 0, minute || 0, second, in: zone)
    end
    alias mktime local
  end

  alias jetpack_zone zone
  def zone = (zone = jetpack_zone).is_a?(Jetpack::Zone) ? zone.abbr(getutc) : zone
  alias jetpack_localtime localtime
  def localtime(offset = nil) = (offset ||= Jetpack::Zone.current) ? jetpack_localtime(offset) : jetpack_localtime
  alias jetpack_getlocal getlocal
  def getlocal(offset = nil) = (offset ||= Jetpack::Zone.current) ? jetpack_getlocal(offset) : jetpack_getlocal
end

class File
  class << self
    %i[mtime atime ctime].each do |name|
      original = instance_method(name)
      define_method(name) { |path| original.bind_call(self, path).localtime }
    end
  end
end
