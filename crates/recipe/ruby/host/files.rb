# frozen_string_literal: true

# WASI knows no modes, owners and permissions: what it does not know is asked of the host.
class File
  # What File.stat returns: sizes and times are true already.
  class Stat
    OF_HOST = { mode: 0, uid: 1, gid: 2, blksize: 3, blocks: 4, rdev: 5 }.freeze
    ACCESS = { readable?: 4, writable?: 2, executable?: 1, readable_real?: 4, writable_real?: 2, executable_real?: 1 }.freeze
    attr_writer :jetpack_path, :jetpack_follow

    alias jetpack_initialize initialize
    def initialize(path)
      jetpack_initialize(path)
      @jetpack_path = Jetpack.path(path)
      @jetpack_follow = true
    end

    def jetpack_stat
      raise NotImplementedError, 'the path of this file is not known' unless @jetpack_path

      @jetpack_stat ||= Jetpack.call(@jetpack_follow ? 'stat' : 'lstat', @jetpack_path)
    end

    OF_HOST.each { |name, index| define_method(name) { jetpack_stat[index] } }
    ACCESS.each { |name, mode| define_method(name) { Jetpack.call('access', [@jetpack_path, mode]) } }
    def jetpack_bit?(bit) = mode & bit != 0
    def setuid? = jetpack_bit?(0o4000)
    def setgid? = jetpack_bit?(0o2000)
    def sticky? = jetpack_bit?(0o1000)
    def owned? = uid == Process.euid
    def grpowned? = Process.groups.include?(gid) || gid == Process.egid
    def world_readable? = jetpack_bit?(0o004) ? mode & 0o777 : nil
    def world_writable? = jetpack_bit?(0o002) ? mode & 0o777 : nil
    def pipe? = mode & 0o170000 == 0o010000
    def ftype = jetpack_stat[6]
    def rdev_major = rdev >> 8 & 0xfff
    def rdev_minor = rdev & 0xff | rdev >> 12 & 0xfff00
  end

  class << self
    alias jetpack_stat stat
    alias jetpack_lstat lstat
    alias jetpack_new new

    def stat(path) = jetpack_stat(path).tap { |s| s.jetpack_path, s.jetpack_follow = Jetpack.path(path), true }
    def lstat(path) = jetpack_lstat(path).tap { |s| s.jetpack_path, s.jetpack_follow = Jetpack.path(path), false }
    def chmod(mode, *paths) = paths.each { |p| Jetpack.call('chmod', [Jetpack.path(p), mode]) }.size
    def lchmod(mode, *paths) = paths.each { |p| chmod(mode, p) unless symlink?(p) }.size
    def chown(user, group, *paths) = jetpack_chown(user, group, paths, true)
    def lchown(user, group, *paths) = jetpack_chown(user, group, paths, false)
    def mkfifo(path, mode = 0o666) = Jetpack.call('mkfifo', [Jetpack.path(path), mode])
    def umask(mask = nil) = Jetpack.call('umask', mask)
    def ftype(path) = lstat(path).ftype

    Stat::ACCESS.each do |name, mode|
      define_method(name) { |path| Jetpack.call('access', [Jetpack.path(path), mode]) }
    end
    %i[world_readable? world_writable? setuid? setgid? sticky? owned? grpowned? pipe?].each do |name|
      define_method(name) do |path|
        stat(path).public_send(name)
      rescue Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES
        name.start_with?('world') ? nil : false
      end
    end

    def new(path, mode = nil, perm = nil, **options)
      perm ||= options.delete(:perm)
      options.delete(:perm)
      mode ||= options.delete(:mode) || 'r'
      named = path.respond_to?(:to_str) || path.respond_to?(:to_path)
      if perm && named
        mode |= options.delete(:flags) || 0 if mode.is_a?(Integer)
        mode = jetpack_create(path, mode, perm)
      end
      file = jetpack_new(path, mode, **options)
      file.instance_variable_set(:@jetpack_path, Jetpack.path(path)) if named
      file
    end

    def open(*arguments, **options)
      file = new(*arguments, **options)
      return file unless block_given?

      begin
        yield file
      ensure
        file.close unless file.closed?
      end
    end

    # WASI opens files without permission bits: the host creates them, then they are opened. Returns the mode that is left.
    def jetpack_create(path, mode, perm)
      if mode.is_a?(Integer)
        return mode if mode & ::File::CREAT == 0

        Jetpack.call('create', [Jetpack.path(path), perm, mode & ::File::EXCL != 0])
        return mode & ~(::File::CREAT | ::File::EXCL)
      end
      mode = mode.to_s
      Jetpack.call('create', [Jetpack.path(path), perm, mode.include?('x')]) if mode.match?(/[wa]/)
      mode.delete('x')
    end

    private

    def jetpack_chown(user, group, paths, follow)
      paths.each { |p| Jetpack.call('chown', [Jetpack.path(p), user || -1, group || -1, follow]) }.size
    end
  end

  def chmod(mode) = Jetpack.call('chmod', [@jetpack_path || path, mode]) && 0
  def chown(user, group) = Jetpack.call('chown', [@jetpack_path || path, user || -1, group || -1, true]) && 0
  # One converge at a time: nobody else is there to lock out.
  def flock(_operation) = 0
  def stat = File.stat(@jetpack_path || path)
  def lstat = File.lstat(@jetpack_path || path)
end

class IO
  class << self
    alias jetpack_write write
    alias jetpack_binwrite binwrite

    def write(path, data, offset = nil, perm: nil, **options)
      File.jetpack_create(path, 'w', perm) if perm
      jetpack_write(path, data, *offset, **options)
    end

    def binwrite(path, data, offset = nil, perm: nil, **options)
      File.jetpack_create(path, 'w', perm) if perm
      jetpack_binwrite(path, data, *offset, **options)
    end
  end
end

class Dir
  class << self
    alias jetpack_mkdir mkdir

    def mkdir(path, mode = nil) = mode ? Jetpack.call('mkdir', [Jetpack.path(path), mode]) : jetpack_mkdir(path)
    def home(user = nil) = user ? Etc.getpwnam(user).dir : (ENV['HOME'] || Etc.getpwuid(Process.uid).dir)
  end
end
