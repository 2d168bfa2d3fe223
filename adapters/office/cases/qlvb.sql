-- A document system as hospitals have them; the schema is invented. Runs on PostgreSQL, MariaDB and SQLite.
CREATE TABLE don_vi (id INTEGER PRIMARY KEY, ma VARCHAR(20), ten VARCHAR(200));
CREATE TABLE ho_so_cong_viec (
  id INTEGER PRIMARY KEY, don_vi_id INTEGER, tieu_de VARCHAR(500), nguoi_xu_ly VARCHAR(200), do_mat INTEGER,
  ngay_ket_thuc TIMESTAMP NULL, hinh_thuc VARCHAR(40)
);
CREATE TABLE van_ban_di (
  id INTEGER PRIMARY KEY, don_vi_id INTEGER, so_ky_hieu VARCHAR(60), trich_yeu VARCHAR(1000), nguoi_ky VARCHAR(200),
  do_mat INTEGER, ngay_phat_hanh TIMESTAMP NULL, da_xoa INTEGER, kieu_ky VARCHAR(40)
);
CREATE TABLE noi_nhan (id INTEGER PRIMARY KEY, van_ban_id INTEGER, ten_noi_nhan VARCHAR(300), kenh_gui VARCHAR(40));

INSERT INTO don_vi VALUES (1, 'BVDK', 'MARK-UNIT Bệnh viện'), (2, 'TYT', 'MARK-UNIT Trạm'), (3, 'KHAC', 'MARK-UNIT Khác');

INSERT INTO ho_so_cong_viec VALUES
  (1, 1, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 00:00:00', 'DIEN_TU'),
  (2, 1, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 23:59:59', 'dien_tu '),
  (3, 1, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 09:00:00', 'GIAY'),
  (4, 1, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 09:00:00', 'KET_HOP'),
  (5, 1, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 09:00:00', NULL),
  (6, 1, 'MARK-SECRET', 'MARK-NAME', 1, '2026-11-20 09:00:00', 'GIAY'),
  (7, 1, 'MARK-OPEN', 'MARK-NAME', 0, NULL, 'GIAY'),
  (8, 2, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 09:00:00', 'GIAY'),
  (9, 1, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-21 00:00:00', 'GIAY'),
  (10, 3, 'MARK-TITLE', 'MARK-NAME', 0, '2026-11-20 09:00:00', 'GIAY');

INSERT INTO van_ban_di VALUES
  (1, 1, 'MARK-1/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, '2026-11-20 08:00:00', 0, 'KY_SO'),
  (2, 1, 'MARK-2/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, '2026-11-20 08:00:00', 0, 'KY_SO'),
  (3, 1, 'MARK-3/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, '2026-11-20 08:00:00', 0, 'BAN_QUET'),
  (4, 1, 'MARK-4/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, '2026-11-20 08:00:00', 0, 'KY_TAY'),
  (5, 1, 'MARK-5/BC', 'MARK-SUBJECT', 'MARK-NAME', 2, '2026-11-20 08:00:00', 0, 'KY_TAY'),
  (6, 1, 'MARK-6/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, '2026-11-20 08:00:00', 1, 'KY_SO'),
  (7, 1, 'MARK-7/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, NULL, 0, 'KY_SO'),
  (8, 2, 'MARK-8/BC', 'MARK-SUBJECT', 'MARK-NAME', 0, '2026-11-20 08:00:00', 0, 'KY_SO');

INSERT INTO noi_nhan VALUES
  (1, 1, 'MARK-RECEIVER', 'TRUC_LIEN_THONG'), (2, 1, 'MARK-RECEIVER', 'EMAIL'),
  (3, 2, 'MARK-RECEIVER', 'TRUC_LIEN_THONG'), (4, 2, 'MARK-RECEIVER', 'GIAY'),
  (5, 3, 'MARK-RECEIVER', 'GIAY'),
  (6, 5, 'MARK-RECEIVER', 'GIAY'), (7, 8, 'MARK-RECEIVER', 'TRUC_LIEN_THONG');
