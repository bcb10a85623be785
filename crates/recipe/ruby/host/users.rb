# frozen_string_literal: true

# Users and groups. The structs of this build lack fields.
module Etc
  %i[Passwd Group].each { |name| remove_const(name) if const_defined?(name, false) }
  Passwd = Struct.new(:name, :passwd, :uid, :gid, :gecos, :dir, :shell)
  Group = Struct.new(:name, :passwd, :gid, :mem)

  class << self
    def getpwnam(name) = jetpack_user(name.to_s)
    def getpwuid(uid = Process.uid) = jetpack_user(uid)
    def getgrnam(name) = jetpack_group(name.to_s)
    def getgrgid(gid = Process.gid) = jetpack_group(gid)
    def getlogin = ENV['LOGNAME'] || ENV['USER'] || getpwuid.name
    def nprocessors = Jetpack.call('nproc')
    def uname = Jetpack.call('uname').transform_keys(&:to_sym)
    def sysconfdir = '/etc'
    def systmpdir = '/tmp'
    def passwd(&) = jetpack_each(Jetpack.call('users').map { |row| Passwd.new(*row) }, &)
    def group(&) = jetpack_each(Jetpack.call('groups').map { |row| Group.new(*row) }, &)

    private

    def jetpack_each(rows, &block) = block ? rows.each(&block) : rows.first

    def jetpack_user(key)
      row = Jetpack.call('user', key) or raise ArgumentError, "can't find user for #{key}"
      Passwd.new(*row)
    end

    def jetpack_group(key)
      row = Jetpack.call('group', key) or raise ArgumentError, "can't find group for #{key}"
      Group.new(*row)
    end
  end
end
